//! The test that runs all models.

#[test]
fn no_order_of_their_steps_breaks_what_lock_free_parts_promise() {
    headcount_models::check();
}
