package arch

// layers ranks the folders of the top level: a package imports packages of its
// own rank or a lower one. "." is the root package, which `func build` needs.
var layers = map[string]int{
	"events":    0,
	"shared":    1,
	"config":    2,
	"providers": 3,
	"functions": 4,
	"deploy":    5,
	".":         6,
	"test":      7,
}

// topLevel is everything that may stand in the root folder, dot files apart.
var topLevel = map[string]bool{
	"events": true, "shared": true, "providers": true, "functions": true,
	"config": true, "deploy": true, "test": true, "docs": true,
	"go.mod": true, "go.sum": true, "Makefile": true, "func.yaml": true,
	"function.go": true, "function_test.go": true,
	"README.md": true, "LICENSE": true,
	"bin": true, // what `make build` writes; git ignores it
}

// bucketNames are folder names that say nothing of what is inside.
var bucketNames = map[string]bool{
	"cmd": true, "pkg": true, "internal": true, "util": true, "utils": true,
	"common": true, "types": true, "helper": true, "helpers": true, "misc": true,
}

// An Edge lets one package (and those below it) use another.
type Edge struct{ From, To, Why string }

// contextMap says which domain packages may import which; "*" is any of them.
// Every one of them may import events.
var contextMap = []Edge{
	{"*", "expression", "one evaluator for all who read ${{ }}: pipeline, worker, agent"},
	{"execution", "pipeline", "a launch carries the job's spec, a report the ends of its steps"},
	{"worker", "execution", "a worker is launched with what execution defines"},
	{"telemetry", "pipeline", "a trace is a projection of a run's document"},
	{"telemetry", "trigger", "its root is the delivery that led to the run"},
	{"trigger", "pipeline", "a happening is held against the `on` of a pipeline"},
}

// domainStdlib is all of the standard library that the domain needs: values
// and what computes with them.
var domainStdlib = map[string]bool{
	"bytes": true, "cmp": true, "container/heap": true, "container/list": true,
	"crypto/ed25519": true, "crypto/hmac": true, "crypto/sha256": true,
	"crypto/sha512": true, "crypto/subtle": true, "encoding": true,
	"encoding/base32": true, "encoding/base64": true, "encoding/binary": true,
	"encoding/hex": true, "encoding/json": true, "errors": true, "fmt": true,
	"hash": true, "hash/fnv": true, "iter": true,
	"maps": true, "math": true, "math/big": true, "math/bits": true,
	"path": true, "regexp": true, "slices": true, "sort": true,
	"strconv": true, "strings": true, "time": true, "unicode": true,
	"unicode/utf8": true,
}

// domainForbidden are the parts of those packages that reach outside.
var domainForbidden = map[string][]string{
	"time": {
		"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick",
		"NewTimer", "NewTicker", "LoadLocation", "Local",
	},
	"fmt": {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
}

// A Row names a package, or a file, and why it stands in its table.
type Row struct{ Path, Why string }

// ports are the packages of shared that every adapter may import: contracts
// and protocols, without a dependency on what implements them. They import no
// adapter themselves.
var ports = []Row{
	{"shared/domain", "what all adapters serve"},
	{"shared/protocol", "the port to the truth: how handlers commit; memory and redis implement it"},
	{"shared/fn", "the shape of a function and its middleware, the same in every host"},
	{"shared/state", "load, decide, commit over the protocol's port; it knows no store"},
	{"shared/provider", "the port to whatever runs workers; providers/ implement it"},
	{"shared/logs", "the port to what attempts wrote; redis implements it for many processes"},
	{"shared/view", "the port to the read models, and their projection; redis implements it for many processes"},
	{"shared/limit", "the port to how often callers may ask; redis implements it for many processes"},
	{"shared/feed", "the port to the events that people watch; redis implements it for many processes"},
}

// adapterExceptions let one adapter import another. A row that nothing needs
// any more fails the tests.
var adapterExceptions = []Edge{
	{"shared/workflow", "shared/cesql", "the filter of an event is read when its file is, with its line and column"},
	{"shared/arrivals", "shared/cesql", "an event is held against the filters of those that wait for it"},
}

// clientUsers ask the API as any other program does, with shared/client.
var clientUsers = []Row{
	{"functions/console", "pages show what the API answers"},
	{"deploy/relevo", "so do the commands"},
	{"shared/cli", "and what they print"},
}

// environmentReaders may read environment variables besides config.
var environmentReaders = []Row{
	{"deploy/agent", "the steps inherit the worker's environment; the agent has no settings but its launch"},
	{"deploy/relevo", "as the agent where no lean one was built, and for the process provider: jobs see the user's environment"},
}

// sleepers are the tests that may call time.Sleep outside a synctest bubble.
var sleepers = []Row{}

// leanForbidden are imports that the lean host must never link, listed or not.
var leanForbidden = []Row{
	{"k8s.io/", "20 MB and three times the start; host-kubernetes is for it"},
	{"knative.dev/", "links client-go"},
	{"github.com/docker/", "no function on the lean host launches workers"},
	{"github.com/casbin/", "the front doors alone judge callers"},
	{"github.com/coreos/go-oidc/", "the front doors alone log people in"},
	{"golang.org/x/oauth2", "the front doors alone log people in"},
}
