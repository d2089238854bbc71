"""The variables that only auth-service reads."""

from __future__ import annotations

from pathlib import Path

from ecochain_kit.settings import Settings as KitSettings
from pydantic import Field


class Settings(KitSettings):
    """Where the signing keys lie, how long a token lives, and what a password's hash costs."""

    jwt_keys_file: Path = Field(Path("/etc/ecochain/jwt/keys.json"), alias="JWT_KEYS_FILE")
    token_ttl_s: int = Field(3600, ge=1, le=7 * 24 * 3600, alias="TOKEN_TTL_S")
    session_ttl_s: int = Field(30 * 24 * 3600, ge=60, le=365 * 24 * 3600, alias="SESSION_TTL_S")
    scrypt_log2_n: int = Field(14, ge=10, le=17, alias="SCRYPT_LOG2_N")
