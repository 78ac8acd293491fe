"""The tests that ``make quick`` leaves out because they take long, besides lessons and browser."""

#: Tests that take more than three seconds on a quiet machine, by file; none named: all of it.
SLOW: dict[str, set[str]] = {
    "test_compare": {
        "test_at_the_fewest_seeds_a_tenth_of_the_winners_is_false_and_below_more",
        "test_two_workers_give_the_same_runs",
    },
    "test_controllers": {
        "test_a_batch_of_proposals_is_as_many_single_ones",
        "test_an_older_state_catches_up",
    },
    "test_dashboard": {"test_failures_with_processes_are_shown"},
    "test_data": {"test_a_spawned_process_shares_the_images"},
    "test_executors": set(),
    "test_faults": set(),
    "test_files": {"test_a_full_disk_leaves_the_old_files"},
    "test_history": {"test_read_only_disk"},
    "test_hostile_evaluators": {"test_every_trial_ends_and_is_told"},
    "test_hostile_files": set(),
    "test_job": set(),
    "test_learning": set(),
    "test_networks": {"test_folded_is_the_same_function"},
    "test_records": {"test_second_process_is_refused", "test_killed_in_the_middle_of_a_line"},
    "test_retraining": {
        "test_after_three_updates_the_controller_has_learned",
        "test_at_the_minima_a_tenth_of_the_winners_is_false_and_below_more",
        "test_best_of_both_are_trained_with_every_seed",
    },
    "test_search": {
        "test_processes_hold_duplicates_back",
        "test_a_killed_worker_s_trial_is_tried_again",
        "test_a_search_whose_first_trials_all_fail_alike_stops",
        "test_processes_with_all_kinds_of_failure",
    },
    "test_search_kill": set(),
    "test_search_thread": {
        "test_activity_of_processes_names_the_worker_that_the_store_will_name",
        "test_program_that_ends_stops_its_search",
        "test_second_process_is_refused",
    },
    "test_search_training": {
        "test_inline_and_processes_are_equal_to_the_bit",
        "test_search_never_touches_test_data",
    },
    "test_table_building": {
        "test_crashed_worker_then_complete",
        "test_ctrl_c_and_kill_in_the_middle",
    },
    "test_table_cli": {"test_ctrl_c_ends_the_workers_and_keeps_what_is_done"},
    "test_table_evaluator": {"test_killed_and_resumed_it_is_the_same_search"},
}
