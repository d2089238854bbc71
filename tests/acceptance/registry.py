"""Which defect turns which acceptance tests red: data.

`red` must fail. `may` are tests that depend on the same thing and fail with it in some runs or in all. Any
other test must stay green. A test is named by its function, which is unique in suites/acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass

TEARDOWN = "teardown"


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """One defect of one service and what the suites must say to it."""

    defect: str
    service: str
    red: tuple[str, ...]
    may: tuple[str, ...] = ()


def _of(service: str, **rows: str | tuple[str, str]) -> list[Sabotage]:
    made = []
    for name, tests in rows.items():
        red, may = (tests, "") if isinstance(tests, str) else tests
        made.append(
            Sabotage(
                defect=name.replace("_", "-"),
                service=service,
                red=tuple(red.split()),
                may=tuple(may.split()),
            )
        )
    return made


_GENERATED = "test_generated_input_is_answered_as_documented"

SABOTAGES: tuple[Sabotage, ...] = (
    *_of(
        "auth-service",
        refresh_gives_a_dead_token="test_refreshed_session_goes_on",
        refresh_token_works_for_ever="test_reused_refresh_token_ends_the_session",
        logout_does_nothing="test_logout_ends_the_session",
        login_tells_who_is_there="test_wrong_password_is_refused",
        address_is_given_twice="test_address_is_taken_once",
        unknown_tenant_becomes_public="test_unknown_tenant_takes_nobody",
        removed_tenant_still_opens=("test_tenant_is_removed_whole teardown", "test_success_is_as_documented"),
        verifies_another_role="test_good_token_is_taken_for_what_it_says",
        role_is_for_the_asking=("test_nobody_makes_himself_an_admin", "teardown"),
    ),
    *_of(
        "user-service",
        malformed_json_is_a_server_error="test_malformed_json_is_refused",
        problem_is_plain_json="test_malformed_json_is_refused",
        strange_text_is_a_server_error=_GENERATED,
        refuses_without_saying_how="test_no_token_is_refused",
        remembers_claims_without_signature="test_token_of_another_key_is_refused",
        takes_unsigned_tokens="test_unsigned_token_is_refused",
        remembers_signature_without_claims="test_changed_token_is_refused",
        takes_expired_tokens="test_expired_token_is_refused",
        anybody_removes_profiles="test_only_an_admin_removes_a_tenant",
    ),
    *_of(
        "collection-service",
        history_loses_the_assignment="test_pickup_from_request_to_completion",
        tenant_removal_keeps_everything="test_tenant_is_removed_whole",
        odd_id_is_a_server_error="test_unknown_id_is_not_found",
        page_size_is_ignored="test_impossible_page_is_refused",
        long_nonsense_opens="test_nothing_is_shown_without_a_token",
        shows_open_pickups_to_every_tenant="test_another_tenants_things_are_not_listed",
        list_is_everybodys="test_own_lists_show_nothing_of_others",
        open_pickups_are_open_to_all="test_citizen_sees_no_open_pickups",
        equal_keys_race_into_pickups="test_same_key_at_once_asks_for_one_pickup",
        completes_twice="test_wrong_step_is_refused",
        cancelled_pickup_stays_listed="test_cancelled_pickup_cannot_be_taken",
        looks_before_it_assigns="test_two_collectors_of_one_pickup_give_one_assignment",
    ),
    *_of(
        "vision-service",
        sees_plastic_everywhere="test_from_picture_to_listing",
        accuracy_is_a_word=("test_success_is_as_documented", _GENERATED),
        torn_picture_is_a_server_error="test_what_is_no_picture_is_refused",
        batch_guesses="test_undecodable_picture_of_a_batch_fails_alone",
        document_promises_more="test_document_has_the_exercised_operations",
    ),
    *_of(
        "marketplace-service",
        total_forgets_the_quantity="test_from_sign_up_to_order",
        made_is_answered_as_found=("test_success_is_as_documented", _GENERATED),
        wrong_field_is_not_named="test_wrong_types_are_refused_by_field",
        huge_body_is_read="test_huge_json_is_refused",
        order_needs_no_key="test_order_without_a_key_is_refused",
        document_hides_protection="test_document_has_the_exercised_operations",
        lists_without_a_token=("test_no_token_is_refused test_nothing_is_shown_without_a_token"),
        cache_forgets_the_user="test_another_users_data_is_refused",
        cache_forgets_the_tenant="test_another_tenants_data_is_not_found",
        takes_orders_from_other_tenants=("test_another_tenants_listing_cannot_be_ordered", _GENERATED),
        looks_before_it_sells=(
            "test_two_buyers_of_one_item_give_one_order",
            "test_many_buyers_get_no_more_than_there_is",
        ),
        refuses_when_busy=(
            "test_many_buyers_get_no_more_than_there_is",
            "test_same_key_at_once_gives_one_order",
        ),
        sells_what_is_not_there="test_more_than_there_is_is_refused",
        equal_keys_race_into_orders="test_same_key_at_once_gives_one_order",
        repetition_is_not_said="test_repeated_order_is_the_same_order",
        key_alone_decides="test_key_of_another_order_is_refused",
        looks_before_it_cancels="test_cancelling_at_once_returns_the_stock_once",
        cancelled_order_looks_placed="test_cancelled_order_says_so",
    ),
    *_of(
        "api",
        health_is_not_json=("test_front_door_is_healthy", "test_success_is_as_documented " + _GENERATED),
        health_says_nothing_good="test_front_door_is_healthy",
        versions_differ="test_front_door_is_healthy",
        ready_though_degraded="test_front_door_is_ready",
        pod_name_is_missing="test_success_is_as_documented",
        request_id_is_ignored="test_request_id_comes_back",
        wrong_method_says_no_more="test_wrong_method_is_refused",
        unknown_path_is_a_page="test_unknown_path_is_not_found",
    ),
)
