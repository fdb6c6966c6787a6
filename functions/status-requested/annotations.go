package statusrequested

import (
	"fmt"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// mostAnnotations are those of a run that a forge is told.
const mostAnnotations = 500

// annotations are what the steps of a run pointed at, job by job. What several
// jobs of a matrix say alike is said once.
func annotations(run *pipeline.Run) []events.Annotation {
	var list []events.Annotation
	said, more := map[events.Annotation]bool{}, 0
	for _, job := range run.Jobs {
		for _, step := range job.Steps {
			for _, a := range step.Annotations {
				switch {
				case said[a]:
				case len(list) == mostAnnotations:
					more++
				default:
					said[a] = true
					list = append(list, a)
				}
			}
		}
	}
	if more > 0 {
		list = append(list, events.Annotation{Level: "notice", Message: fmt.Sprintf("and %d more", more)})
	}
	return list
}
