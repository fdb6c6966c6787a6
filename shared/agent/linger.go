package agent

import (
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// lastWord reports the end of the job. That of a worker which was told to end is
// held back where the platform knows why and the agent does not: until the
// control plane says, or for the time to linger. Then it is left to the platform
// to tell, once the log is whole; the reason would only get in its way.
func (a *attempt) lastWord(end execution.Ending, gone <-chan struct{}) {
	stop, reason := a.stops.why()
	if a.launch.Linger <= 0 || stop != events.Infra || end.Verdict != stop || end.Reason != reason {
		a.reporter.Finish(end)
		return
	}
	left := time.NewTimer(time.Until(a.stops.at.Add(a.launch.Linger)))
	defer left.Stop()
	select {
	case <-a.stops.cancelled:
		end.Verdict, end.Reason = a.stops.why()
		a.reporter.Finish(end)
	case <-left.C:
		a.log.Info(reason + ", and nobody told why")
		a.reporter.Leave()
	case <-gone:
	}
}
