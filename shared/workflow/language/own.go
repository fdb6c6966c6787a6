package language

import "time"

// ownKeys are the keys of a job that Actions does not have.
func ownKeys() []Key {
	return []Key{
		{Name: "retry", Support: Own, Doc: "Further attempts when the job fails by its author's doing.", Value: ref(Retry)},
		{Name: "resources", Support: Own, Doc: "What the job's worker needs.", Value: ref(Resources)},
		{Name: "priority", Support: Own, Doc: "Higher goes first; 0 by default.", Value: integer(-MostPriority, MostPriority)},
		{Name: "affinity", Support: Own, Doc: "Attributes that a node must have, or better had.", Value: ref(Affinity)},
		{Name: "tolerations", Support: Own, Doc: "Taints of nodes that the job puts up with.", Value: list(text())},
	}
}

// The ranges of Relevo's own keys.
const (
	MostPriority = 100
	MostRetries  = 10
	MostGPUs     = 64
	MostWeight   = 100
)

// Await is what a job waits for.
var Await = &Place{ID: "await", Name: "await", OneOf: []string{"type", "approval"}, Keys: []Key{
	{Name: "type", Doc: "The CloudEvents type of the event; none of Relevo's own.", Value: text()},
	{Name: "where", Doc: "What the event must satisfy, in the CloudEvents SQL expression language: it reads the event's attributes, not its data. An expression in it stands for a string, whatever it holds: in quotes a part of that string, without quotes all of it. Absent: any event of the type.", Value: text()},
	{Name: "approval", Doc: "true: somebody has to approve, by `relevo approve` or the API.", Value: Shape{"const": true}},
	{Name: "timeout", Doc: "How long it waits before it fails as timed out: seconds, or text such as 90m or 72h; 72h by default, 720h (30 days) at most.", Value: either(
		positive(MostAwait.Seconds()), Shape{"type": "string"})},
}}

// MostAwait bounds how long a job waits.
const MostAwait = 30 * 24 * time.Hour

// Retry is the user's retry budget.
var Retry = &Place{ID: "retry", Name: "retry", Keys: []Key{
	{Name: "max", Required: true, Doc: "How many attempts after the first.", Value: integer(0, MostRetries)},
	{Name: "backoff", Doc: "Wait before the second attempt, doubled for each one after: seconds, or text such as 10s or 2m; at most 10 minutes.", Value: either(
		Shape{"type": "number", "minimum": 0, "maximum": 600}, Shape{"type": "string"})},
	{Name: "on", Doc: "What is tried again: failed, timeout; both by default. What the infrastructure does wrong has a budget of its own.", Value: either(
		words("failed", "timeout"), filled(list(words("failed", "timeout"))))},
}}

// Resources are what the worker needs.
var Resources = &Place{ID: "resources", Name: "resources", Keys: []Key{
	{Name: "cpu", Doc: "Cores, or thousandths of one as 500m.", Value: either(positive(1024), pattern(`^[0-9.]+m?$`))},
	{Name: "memory", Doc: "Bytes, or with a unit: 512Mi, 1Gi, 2G.", Value: either(
		Shape{"type": "integer", "minimum": 1}, pattern(`^[0-9.]+([kKMGT]i?)?$`))},
	{Name: "gpu", Doc: "Devices.", Value: integer(0, MostGPUs)},
}}

// Affinity narrows or prefers nodes.
var Affinity = &Place{ID: "affinity", Name: "affinity", Keys: []Key{
	{Name: "required", Doc: "Attributes that the node must have.", Value: mapping(text())},
	{Name: "preferred", Doc: "Attributes that the node had better have.", Value: list(ref(Preference))},
}}

// Preference is one preferred attribute.
var Preference = &Place{ID: "preference", Name: "a preference", Keys: []Key{
	{Name: "key", Required: true, Doc: "The attribute's name: region, zone …", Value: text()},
	{Name: "value", Required: true, Doc: "Its value.", Value: text()},
	{Name: "weight", Required: true, Doc: "How much it counts, 1 to 100.", Value: integer(1, MostWeight)},
}}

// Overlay is .relevo/overlay.yaml.
var Overlay = &Place{ID: "overlay", Name: "the overlay", Keys: []Key{
	{Name: "workflows", Required: true, Doc: "Files in .github/workflows by name.", Value: mapping(ref(OverlayWorkflow))},
}}

// OverlayWorkflow is what the overlay adds to one file.
var OverlayWorkflow = &Place{ID: "overlayWorkflow", Name: "a workflow of the overlay", Keys: []Key{
	{Name: "jobs", Required: true, Doc: "The file's jobs by id.", Value: named(IDPattern, ref(OverlayJob))},
}}

// OverlayJob is what the overlay adds to one job.
var OverlayJob = &Place{ID: "overlayJob", Name: "a job of the overlay", Keys: ownKeys()}
