package api

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relevo-ci/relevo/shared/client"
)

// Version of the interface: the major one stands in its paths.
const Version = "1.0.0"

const about = `Takes pipelines and jobs, shows what becomes of them and why. ` +
	`Errors are problems (RFC 9457). A POST with an Idempotency-Key may be repeated.`

// OpenAPI is the interface's description, OpenAPI 3.1 as YAML.
func OpenAPI() ([]byte, error) {
	a := &API{}
	New(a)
	return a.register(http.NewServeMux()).OpenAPI().YAML()
}

// register adds every operation to mux.
func (a *API) register(mux *http.ServeMux) huma.API {
	config := huma.DefaultConfig("Relevo", Version)
	config.Info.Description = about
	config.CreateHooks = nil // they would add a $schema to every answer
	config.DocsPath, config.SchemasPath = "", ""
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{transform}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "Not asked for in local mode."},
	}
	config.Security = []map[string][]string{{"bearer": {}}, {}}
	h := humago.New(mux, config)
	h.UseMiddleware(a.admit)

	huma.Register(h, operation(h, "submitPipeline", http.MethodPost, "/v1/pipelines", "Run a pipeline file"), a.submitPipeline)
	huma.Register(h, operation(h, "showPipeline", http.MethodGet, "/v1/pipelines/{id}", "Show a run with its jobs"), a.showPipeline)
	huma.Register(h, operation(h, "showSubmission", http.MethodGet, "/v1/pipelines/{id}/submission", "Show what to submit to run a run's file once more, with changes"), a.showSubmission)
	huma.Register(h, operation(h, "explainPipeline", http.MethodGet, "/v1/pipelines/{id}/explain", "Tell why a run stands where it stands"), a.explainPipeline)
	huma.Register(h, operation(h, "cancelPipeline", http.MethodPost, "/v1/pipelines/{id}/cancel", "Cancel a run"), a.cancelPipeline)
	huma.Register(h, operation(h, "retryPipeline", http.MethodPost, "/v1/pipelines/{id}/retry", "Run a run that is over once more, or only what of it failed"), a.retryPipeline)
	huma.Register(h, operation(h, "submitJob", http.MethodPost, "/v1/jobs", "Run a single job"), a.submitJob)
	huma.Register(h, operation(h, "showJob", http.MethodGet, "/v1/jobs/{id}", "Show a job"), a.showJob)
	huma.Register(h, operation(h, "cancelJob", http.MethodPost, "/v1/jobs/{id}/cancel", "Cancel a job"), a.cancelJob)
	huma.Register(h, logsOperation(h), a.showLogs)
	huma.Register(h, operation(h, "listNodes", http.MethodGet, "/v1/nodes", "Show all capacity and what holds it"), a.listNodes)
	huma.Register(h, operation(h, "showQueue", http.MethodGet, "/v1/queue", "Show what waits for capacity, and why"), a.showQueue)
	huma.Register(h, eventsOperation(h), a.showEvents)
	huma.Register(h, operation(h, "approveJob", http.MethodPost, "/v1/jobs/{id}/approve", "Approve what a job awaits"), a.approveJob)
	huma.Register(h, operation(h, "refuseJob", http.MethodPost, "/v1/jobs/{id}/refuse", "Refuse what a job awaits: it fails"), a.refuseJob)
	a.registerLists(h)
	a.registerArrivals(mux, h)
	a.registerDeadLetters(h)
	a.registerDeliveries(h)
	a.registerTelemetry(mux, h)
	a.registerSearch(h)

	a.registerAccess(h)

	declare(h.OpenAPI())
	tidy(h.OpenAPI().Components.Schemas.Map())
	return h
}

// tidy makes the schemas say what holds.
func tidy(schemas map[string]*huma.Schema) {
	// Registered by huma for its own errors, which transform makes problems of.
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	asked := []string{"Submission", "JobSubmission", "Trigger", "Cancellation", "Review", "TokenRequest", "Binding"}
	for name, s := range schemas {
		if !slices.Contains(asked, name) {
			s.AdditionalProperties = nil // answers may come to say more
		}
		for _, p := range s.Properties {
			if p.Type == huma.TypeArray {
				p.Nullable = false
			}
		}
	}
}

// operation describes one operation. A body is read within half a minute: huma
// leaves its deadline on the connection, and past it the request counts as
// given up.
func operation(h huma.API, id, method, path, summary string) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary,
		MaxBodyBytes: mostBody, BodyReadTimeout: bodyTime,
		Responses: map[string]*huma.Response{"default": {
			Description: "Error",
			Content: map[string]*huma.MediaType{problemType: {
				Schema: h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.Problem](), true, ""),
			}},
		}},
	}
	if method == http.MethodPost && (path == "/v1/pipelines" || path == "/v1/jobs" || strings.HasSuffix(path, "/retry")) {
		op.DefaultStatus = http.StatusCreated
	}
	return op
}

// streaming describes the answer of an operation that writes it itself.
func streaming(op huma.Operation, contentType, description string, headers map[string]*huma.Param) huma.Operation {
	op.Responses["200"] = &huma.Response{
		Description: description, Headers: headers,
		Content: map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	return op
}

func header(description string) *huma.Param {
	return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
}
