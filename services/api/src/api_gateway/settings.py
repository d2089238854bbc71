"""Where the services behind the front door are."""

from __future__ import annotations

from ecochain_kit.settings import Settings as KitSettings
from ecochain_kit.settings import Url
from pydantic import Field


class Settings(KitSettings):
    """An address per service."""

    user_url: Url = Field("http://user-service:3000", alias="USER_URL")
    collection_url: Url = Field("http://collection-service:3000", alias="COLLECTION_URL")
    vision_url: Url = Field("http://vision-service:3000", alias="VISION_URL")
    marketplace_url: Url = Field("http://marketplace-service:3000", alias="MARKETPLACE_URL")
