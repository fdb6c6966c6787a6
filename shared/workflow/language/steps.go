package language

// UsesPattern are the actions that there are: checkout alone, at a version whose
// inputs are those of today, at a commit, or without any.
const UsesPattern = `^(checkout|actions/checkout@(v([2-9]|[1-9][0-9]+)(\.[0-9]+)*|[0-9a-f]{40}))$`

// TokenPattern are the tokens that a checkout may name: the one that is used
// anyway.
const TokenPattern = `^\$\{\{ *([gG][iI][tT][hH][uU][bB]\.[tT][oO][kK][eE][nN]|[sS][eE][cC][rR][eE][tT][sS]\.[gG][iI][tT][hH][uU][bB]_[tT][oO][kK][eE][nN]) *\}\}$`

const withoutKeys = "there are no keys for SSH here: the forge's credential is used, also for submodules that are named by SSH"

// Step is one step.
var Step = &Place{ID: "step", Name: "a step", OneOf: []string{"run", "uses", "emit"}, Keys: []Key{
	{Name: "run", Doc: "The script.", Value: text()},
	{Name: "uses", Doc: "actions/checkout@v4 (any version from v2 on, or a commit's), or short checkout: fetches the run's commit. Other actions are refused: do it in `run`, or bring the tool with the job's container.", Value: pattern(UsesPattern)},
	{Name: "with", Doc: "The inputs of `uses`.", Value: either(ref(Checkout), null())},
	{Name: "emit", Support: Own, Doc: "A CloudEvent to emit.", Value: ref(Emit)},
	{Name: "name", Doc: "What people see; the script's first line by default.", Value: text()},
	{Name: "id", Doc: "How expressions name the step, as steps.<id>.", Value: pattern(IDPattern)},
	{Name: "if", Doc: "Whether the step runs; success() by default.", Value: text()},
	{Name: "env", Doc: "Environment variables of the step.", Value: env()},
	{Name: "shell", Doc: "Of `run`: sh, bash, or a command with {0} for the script's file.", Value: shell()},
	{Name: "working-directory", Doc: "Of `run`: where the script starts.", Value: text()},
	{Name: "timeout-minutes", Doc: "After how long the step is ended.", Value: minutes()},
	{Name: "continue-on-error", Doc: "Whether the job goes on when the step fails.", Value: boolOrExpr()},
	{Name: "await", Support: Refused, Doc: "make it a job of its own, which this one needs"},
}}

// Checkout are the inputs of actions/checkout.
var Checkout = &Place{ID: "checkout", Name: "the inputs of a checkout", Keys: []Key{
	{Name: "repository", Doc: "owner/name, of the same forge; the run's own by default.", Value: textOrNull()},
	{Name: "ref", Doc: "Branch, tag, ref, or a whole commit id; the run's commit by default, the default branch of another repository.", Value: textOrNull()},
	{Name: "path", Doc: "The folder below the workspace to check out to; the workspace itself by default.", Value: textOrNull()},
	{Name: "fetch-depth", Doc: "How many commits of history; 1 by default, 0 for all of it with all branches and tags.", Value: either(
		Shape{"type": "integer", "minimum": 0}, pattern(`^[0-9]+$`), expr(), null())},
	{Name: "fetch-tags", Doc: "Whether to fetch tags as well; false by default.", Value: flag()},
	{Name: "submodules", Doc: "true for those of the repository, recursive for theirs too; false by default. The credential is used for those of the same server.", Value: either(
		flag(), words("recursive"))},
	{Name: "clean", Doc: "Whether to remove what steps left, where the repository is checked out already; true by default.", Value: flag()},
	{Name: "sparse-checkout", Doc: "Only these folders, one a line.", Value: textOrNull()},
	{Name: "sparse-checkout-cone-mode", Doc: "false: they are patterns as in .gitignore; true by default.", Value: flag()},
	{Name: "persist-credentials", Doc: "false: the credential is never kept, nor seen by steps. One that pushes gets its own, by env.", Value: either(words("false"), Shape{"const": false}, null())},
	{Name: "token", Doc: "${{ github.token }} or ${{ secrets.GITHUB_TOKEN }}, which change nothing: the forge's own credential is used.", Value: either(pattern(TokenPattern), null())},
	{Name: "lfs", Doc: "false: files of Git LFS stay pointers.", Value: either(words("false"), Shape{"const": false}, null())},
	{Name: "show-progress", Doc: "Changes nothing: a log has no progress bars.", Value: flag()},
	{Name: "set-safe-directory", Doc: "Changes nothing: git may always look into what was checked out.", Value: flag()},
	{Name: "filter", Support: Refused, Doc: "what is left out could not be fetched later, without a credential: use fetch-depth and sparse-checkout"},
	{Name: "github-server-url", Support: Refused, Doc: "the repository comes from the forge that started the run: fetch others with git in `run`"},
	{Name: "ssh-key", Support: Refused, Doc: withoutKeys},
	{Name: "ssh-known-hosts", Support: Refused, Doc: withoutKeys},
	{Name: "ssh-strict", Support: Refused, Doc: withoutKeys},
	{Name: "ssh-user", Support: Refused, Doc: withoutKeys},
}}

// Emit is an event that a step emits.
var Emit = &Place{ID: "emit", Name: "emit", Keys: []Key{
	{Name: "type", Required: true, Doc: "The CloudEvents type, such as com.example.artifact.built; none that begins with dev.relevo., and of CDEvents those that docs/cloudevents.md lists.", Value: text()},
	{Name: "subject", Doc: "The CloudEvents subject: what the event is about.", Value: text()},
	{Name: "data", Doc: "The payload: a mapping of any depth, or one expression that gives an object. A value that is one expression keeps its type.", Value: either(mapping(anything()), expr())},
}}

// flag is a truth as inputs of actions have it.
func flag() Shape { return either(boolean(), words("true", "false"), expr(), null()) }

func null() Shape { return Shape{"type": "null"} }
