package main

// What is not planted, because another mechanism makes it harmless by design.
// Each is defence in depth: it is kept, and a test of its own package holds it.
//
//   - Holds without the attempt's number: the fence says it too.
//   - Hello without the worker's id: a fence has one worker; a second one under
//     it differs by its nonce.
//   - Enqueue without looking at what is held, Enter of a group by its waiter:
//     the inbox answers the same event, and a second event for the same offer or
//     member has the same id.
//   - A duplicate that is not answered with the first events: the outbox has
//     them.
//   - Strikes that are lost with a conflict, or with a process: a second
//     publication, no more.
//   - What the outbox holds that is sent in the epoch that it was made in, and so
//     dropped: the due entry of whatever waits for it tells it again.
//   - Timers whose ids depend on the time: of two clocks that fire the same
//     entry, the document's version lets one commit.
//   - A pool kept in memory that is not read again when its version moved: its
//     next commit conflicts, and then it is.
//   - A group that is not given back, or whose waiter is forgotten when it is:
//     the due entry of the group, or of the run, asks again.
//   - A worker that is not removed when its job is cancelled: its next report
//     tells it to go, and the sweep removes what is left.
//   - A due entry that does not move when it fires: it is told again at every
//     tick.
//   - A skip that is not passed on at once, a run that looks only at live jobs
//     when it ends: needs stand before what needs them, and whatever waits has a
//     live job above it.
//   - A release of what is not held: an assignment is refused before it has a worker,
//     or its worker ends, and either has one id that the inbox answers.
//   - An offer that expires whenever it is looked at: it is looked at when its
//     time is over.
//   - A late offer.expired for a job that moved on: an offer that expired was
//     never placed, so its job did not move.
