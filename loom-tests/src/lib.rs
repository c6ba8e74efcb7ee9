//! Loom models of the mailbox layer: small programs over its public face, run in every interleaving
//! and with every value that the memory model lets a load see. And mutants, which ask whether the
//! models would notice.
//!
//! ```text
//! loom-tests/run.sh check      # lints of the code that only the checkers build
//! loom-tests/run.sh models     # every model, with the number of its executions
//! loom-tests/run.sh mutants    # every mutant; fails unless some model fails for each
//! ```
//!
//! A model is named below by its file in `tests/` and its function. `tests/tables.rs` fails if one
//! that is named does not exist, or one that exists is not named.
//!
//! # The protocols
//!
//! | | protocol | models |
//! |---|---|---|
//! | 1 | ring: batches are published while the other end drains; leftovers | `ring::two_batches_arrive_in_order` |
//! | | | `ring::a_slot_is_used_again_only_after_it_was_taken` |
//! | | | `ring::cells_that_are_alike_arrive_in_order_and_none_of_a_lap_before` |
//! | | | `ring::what_is_shown_as_it_is_pushed_arrives_in_order` |
//! | | | `ring::leftovers_are_dropped_once_whoever_goes_last` |
//! | 2 | park against a sender | `wake::a_sender_wakes_its_receiver` |
//! | | | `wake::what_was_written_before_a_notify_is_seen_after_it` |
//! | 3 | park against two senders, of whom one rings | `wake::two_senders_wake_their_receiver` |
//! | | | `wake::one_sender_rings_for_a_sleep` |
//! | 4 | park against the inbox | `cores::an_inbox_wakes_its_receiver` |
//! | 5 | park against the shutdown flag | `wake::a_flag_wakes_its_receiver` |
//! | | | `wake::a_sender_and_a_close_both_wake_their_receiver` |
//! | 6 | rings made late, against a receiver that scans those it knows | `cores::a_ring_made_late_wakes_its_receiver` |
//! | | | `cores::a_ring_that_is_asked_for_joins_the_scan` |
//! | | | `cores::rings_made_late_by_two_senders_wake_their_receiver` |
//! | 7 | chains of freed blocks on their way home | `pool::a_chain_through_a_ring` |
//! | | | `pool::a_chain_that_a_full_ring_refuses` |
//! | 8 | the last look before a sleep: at every ring, as nothing hints at which have something | `wake::two_senders_wake_their_receiver` |
//! | 9 | a worker is removed and its place used again, with messages under way | `cores::a_message_to_a_removed_worker_does_not_reach_the_next` |
//! | | park against wakers, and an awake core | `cores::a_task_woken_from_outside_wakes_its_core` |
//! | | | `wake::an_awake_core_is_not_rung` |
//! | | inbox: senders, and slots used again | `inbox::two_senders_lose_nothing` |
//! | | | `inbox::two_senders_do_not_share_the_last_slot` |
//! | | | `inbox::a_slot_is_used_again_only_after_it_was_taken` |
//! | | wake list: wakes against drains, absorbed or not | `wake_list::a_wake_during_a_drain_is_drained_later` |
//! | | | `wake_list::two_wakers_of_one_task_lose_nothing` |
//! | | | `wake_list::two_wakers_of_two_tasks_lose_nothing` |
//! | | a look at the worker that a core runs | `glance::nobody_looks_at_what_is_freed_or_not_yet_written` |
//! | | semaphore: what the last holder did is seen | `semaphore::a_holder_sees_what_the_last_one_did` |
//! | | | `semaphore::a_permit_left_over_carries_what_was_done` |
//! | | shared buffers: the last reader | `pool::the_last_readers` |
//! | | | `pool::the_last_of_three_readers` |
//! | | | `pool::clone_against_drop` |
//! | | | `pool::a_buffer_of_no_pool` |
//! | | | `pool::a_large_cell_taken_outside` |
//!
//! # Close, drop and cancel
//!
//! Whatever one party does, another may close, go (drop its end), or give up what it is doing
//! (cancel) at the same time. Each row is one such pair.
//!
//! **Ring.** A ring is closed by dropping an end, so close and drop are one. A drain is cancelled
//! by a panic of its sink; a push, by finding the ring full and taking its value back.
//!
//! | producer | consumer | model |
//! |---|---|---|
//! | sends | drains | `ring::two_batches_arrive_in_order` |
//! | sends | cancels a drain | `ring::a_cancelled_drain_gives_its_slot_back_and_keeps_the_rest` |
//! | sends | drops its end | `ring::a_ring_whose_consumer_goes_says_so_and_keeps_nothing` |
//! | cancels a push | drains | `ring::a_slot_is_used_again_only_after_it_was_taken` |
//! | cancels a push | cancels a drain | `ring::a_cancelled_drain_gives_its_slot_back_and_keeps_the_rest` |
//! | cancels a push | drops its end | `ring::a_ring_whose_consumer_goes_says_so_and_keeps_nothing` |
//! | drops its end | drains | `ring::a_closed_ring_shows_everything_pushed` |
//! | drops its end | cancels a drain | `ring::a_cancelled_drain_of_a_closed_ring_loses_nothing` |
//! | drops its end | drops its end | `ring::leftovers_are_dropped_once_whoever_goes_last` |
//! | drops its end | cancels a drain and drops its end | `ring::leftovers_of_a_cancelled_drain_are_dropped_once` |
//!
//! **Parker.** Its node closes it by a flag. A sleep is cancelled when its time is up, or by a panic
//! of the block. A sender drops its count of the word after the last notify, in every model.
//!
//! | sender | receiver | model |
//! |---|---|---|
//! | notifies, and drops the word | sleeps | `wake::a_sender_wakes_its_receiver` |
//! | notifies, and drops the word | cancels: time-out | `wake::a_sleep_that_times_out_counts_no_lost_wake` |
//! | notifies, and drops the word | cancels: panic | `wake::a_sleep_that_panics_loses_no_wake` |
//! | notifies, and drops the word | drops the parker | `wake::a_word_outlives_its_parker` |
//! | closes | sleeps | `wake::a_flag_wakes_its_receiver` |
//! | closes | cancels: time-out | `wake::a_close_during_a_sleep_that_times_out_is_no_lost_wake` |
//! | closes | cancels: panic | `wake::a_sleep_that_panics_misses_no_close` |
//! | closes | drops the parker | `wake::a_close_outlives_the_parker` |
//! | one notifies, one closes | sleeps | `wake::a_sender_and_a_close_both_wake_their_receiver` |
//! | one notifies, one closes | cancels: time-out, and drops the parker | `wake::a_sender_a_close_a_time_out_and_a_drop_lose_nothing` |
//!
//! **Pool.** Its owner closes it by dropping it. A chain is cancelled by dropping it on the way.
//!
//! | elsewhere | owner | model |
//! |---|---|---|
//! | drops buffers | takes and allocates | `pool::push_against_take` |
//! | | | `pool::pushes_against_take` |
//! | drops buffers | closes | `pool::push_against_close` |
//! | | | `pool::pushes_against_close` |
//! | sends a chain | takes it in | `pool::a_chain_through_a_ring` |
//! | sends a chain | drops its end of the ring, and closes | `pool::a_chain_into_a_ring_that_goes_down` |
//! | sends a chain | closes, and drops its end of the ring | `pool::a_chain_in_a_ring_that_outlives_the_pool` |
//! | cancels a chain, the ring being full | takes chains in | `pool::a_chain_that_a_full_ring_refuses` |
//! | cancels a chain | takes and allocates | `pool::a_cancelled_chain_against_take` |
//! | cancels a chain | closes | `pool::a_cancelled_chain_against_close` |
//! | closes its own pool, with blocks gathered | takes and allocates | `pool::gathered_blocks_against_take` |
//! | closes its own pool, with blocks gathered | closes | `pool::gathered_blocks_against_close` |
//! | drops a last reader | closes | `pool::the_last_readers_against_close` |
//! | one drops a buffer, one cancels a chain | closes | `pool::a_drop_and_a_cancelled_chain_against_close` |
//!
//! **Semaphore.** A waiter cancels by dropping its future. To drop the semaphore under a waiter does
//! not compile (`mailbox/tests/compile_fail/semaphore_outlives_its_futures.rs`).
//!
//! | others | waiter | second waiter | model |
//! |---|---|---|---|
//! | release | waits | | `semaphore::a_release_wakes_who_waits` |
//! | release | cancels | | `semaphore::a_dropped_future_passes_its_permit_on` |
//! | close | waits | | `semaphore::a_close_wakes_who_waits` |
//! | close | cancels | | `semaphore::a_close_finds_a_waiter_that_gives_up` |
//! | close, release | waits | | `semaphore::a_permit_released_at_the_close_is_granted_or_left` |
//! | close, release | cancels | | `semaphore::no_permit_is_lost_when_all_happens_at_once` |
//! | release | waits | waits | `semaphore::two_who_wait_are_both_served` |
//! | release | waits | cancels | `semaphore::who_waits_behind_one_that_gives_up_is_served` |
//! | release | cancels | cancels | `semaphore::two_that_give_up_leave_the_permit` |
//! | close, release | waits | waits | `semaphore::a_close_wakes_both_who_wait` |
//! | close | waits | cancels | `semaphore::who_waits_behind_one_that_gives_up_hears_of_the_close` |
//!
//! **Inbox and wake list.** A push cannot be cancelled.
//!
//! | senders | receiver | model |
//! |---|---|---|
//! | push | closes the inbox | `inbox::what_was_accepted_is_taken_after_the_close` |
//! | two push | closes the inbox | `inbox::what_two_senders_got_in_before_the_close_is_taken` |
//! | push | drops the inbox | `inbox::a_dropped_inbox_drops_what_it_took` |
//! | wake | drops the wake list | `wake_list::a_push_to_a_dropped_list_leaks_nothing` |
//!
//! # Three ways to run them
//!
//! The sync facade has three arms beside that of an ordinary build, and each runs the same models:
//!
//! | build | what runs | sees | does not see |
//! |---|---|---|---|
//! | `--cfg loom` | every interleaving of a model | weak orderings | more than three threads, more than a few steps |
//! | `--cfg shuttle` | schedules drawn from a seed | whole nodes, of many threads and steps | orderings: all are sequentially consistent to it; leaks |
//! | `--cfg ringpost_mutable` | real threads, again and again, under a thread sanitizer | memory that nothing orders | what did not run; fences |
//!
//! ```text
//! loom-tests/run.sh schedules  # the models in schedules drawn from a seed that is printed
//! loom-tests/run.sh long N     # N schedules of each, and a line in the ledger
//! .ci/sanitizers.sh thread     # the models, and whole nodes, on real threads
//! ```
//!
//! A schedule that fails is printed, and so is the seed. `RINGPOST_SCHEDULE=…` repeats the schedule,
//! `RINGPOST_SEED=…` all of them. Shuttle also runs what is too large for loom:
//!
//! | whole nodes, each core and each thread outside drawn step by step |
//! |---|
//! | `nodes::g9_a_node_that_starts_and_stops_leaves_no_thread` |
//! | `nodes::g9_messages_of_two_threads_are_accounted_for_when_a_third_stops_the_node` |
//! | `nodes::g9_a_stop_is_hastened_from_another_thread` |
//! | `nodes::g8_messages_of_two_threads_wake_the_core_and_keep_their_order` |
//! | `nodes::g5_messages_go_round_two_cores_with_no_room_to_spare` |
//! | `nodes::g4_a_send_that_is_given_up_leaves_its_permit_to_the_next` |
//! | `nodes::g3_threads_that_ask_are_answered` |
//!
//! | rings and credits, the way of a message and of its credit back |
//! |---|
//! | `flow::credits_and_a_ring_bring_all_in_order_and_come_back` |
//! | `flow::two_cores_send_to_the_same_workers` |
//!
//! Whole nodes run the driver of production (`runtime/src/driver/threads`), with something else in the place of the
//! kernel's poll and of the clock. A core without a deadline sleeps until it is rung, so a lost wake is a
//! deadlock, which fails the test.
//!
//! # What the models prove, and what they do not
//!
//! What follows is of loom. Models of two threads (`two_threads`) are exhaustive; models of three (`three_threads`) are
//! bounded to three preemptions (switches away from a thread that could go on). The number of
//! threads is checked as a model runs, and the bound follows from it; `tests/kinds.rs` shows that
//! either kind reaches as far as it says.
//!
//! Spinning is kept out of the models: who has nothing to do, parks, so that a lost wake is a
//! deadlock, which loom reports. Values are counted pointers of loom's, so that one leaked or
//! dropped twice is reported too.
//!
//! Loom finds an interleaving worth trying by the last access to an atomic before the present one.
//! A load that is followed by another thread's load and then by a write is hidden by that second
//! load, and only an order in which the writer comes first leads there. So each model is explored
//! from two ends: once the main thread goes first, once the others do.
//!
//! Loom knows neither time nor chance. A time-out is a block that ends at once. A compare-exchange
//! does not fail without reason (the facade exports none that may), and no load sees a store that
//! its thread has yet to make. While a panic unwinds, loom watches no cells.
//!
//! # Mutants
//!
//! A mutant is one ordering weakened, or one store or fence left out; `src/bin/mutants` makes them
//! from the source. A mutant runs the models of the module it is in, and is killed when one of them
//! fails.

#[cfg(any(loom, shuttle, ringpost_mutable))]
mod arm;
#[cfg(any(loom, shuttle, ringpost_mutable))]
mod model;

#[cfg(any(loom, shuttle, ringpost_mutable))]
pub use arm::block_on;
#[cfg(any(shuttle, ringpost_mutable))]
pub use model::schedules;
#[cfg(any(loom, shuttle, ringpost_mutable))]
pub use model::{PREEMPTIONS_MAX, Threads, one_thread, three_threads, two_threads};
