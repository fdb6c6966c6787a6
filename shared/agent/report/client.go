package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// The paths on the control plane.
const (
	reportPath  = "/worker/report"
	secretsPath = "/worker/secrets"
)

// maxReply bounds what is read of an answer, in bytes.
const maxReply = 8 << 20

// Errors that end a conversation. Any other one means that it is not known
// whether the control plane heard: say it again.
var (
	// ErrGone: the control plane knows nothing of this attempt any more.
	ErrGone = errors.New("report: the attempt is gone")
	// ErrRefused: the token was not accepted.
	ErrRefused = errors.New("report: refused")
	// ErrTooLarge: to be said in smaller pieces.
	ErrTooLarge = errors.New("report: too large")
	// ErrFolderGone: not even the folder is there that the control plane had its
	// socket in.
	ErrFolderGone = errors.New("report: the control plane's folder is gone")
)

// Client talks to the control plane over HTTP, on TCP or a Unix socket.
type Client struct {
	base    string
	token   string
	timeout time.Duration
	http    *http.Client
}

// NewClient reads the address of a launch: http://…, https://… or
// unix:///path/to.sock. A request takes at most timeout.
func NewClient(address, token string, timeout time.Duration) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("report: address: %w", err)
	}
	// No proxy: the variables of the user's image are not meant for the agent.
	transport := &http.Transport{MaxIdleConns: 2, IdleConnTimeout: time.Minute}
	base := strings.TrimSuffix(strings.TrimSuffix(address, reportPath), "/")
	switch {
	case u.Scheme == "unix" && u.Path != "":
		socket := strings.TrimSuffix(u.Path, reportPath)
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", socket)
			if errors.Is(err, fs.ErrNotExist) {
				if _, gone := os.Stat(filepath.Dir(socket)); errors.Is(gone, fs.ErrNotExist) {
					err = fmt.Errorf("%w: %w", ErrFolderGone, err)
				}
			}
			return conn, err
		}
		base = "http://relevo"
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	default:
		return nil, fmt.Errorf("report: address %q is neither http:// nor unix:///", address)
	}
	return &Client{base: base, token: token, timeout: timeout, http: &http.Client{
		Transport: transport,
		// The token is for this address alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Post sends a report.
func (c *Client) Post(ctx context.Context, r *execution.Report) (execution.Reply, error) {
	var reply execution.Reply
	if err := c.call(ctx, reportPath, r, &reply); err != nil {
		return execution.Reply{}, err
	}
	if reply.Gone != "" {
		return reply, fmt.Errorf("%w: %s", ErrGone, reply.Gone)
	}
	return reply, nil
}

// Secrets fetches what the job may know.
func (c *Client) Secrets(ctx context.Context, r *execution.SecretsRequest) (execution.Secrets, error) {
	var secrets execution.Secrets
	return secrets, c.call(ctx, secretsPath, r, &secrets)
}

func (c *Client) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("report: encode: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("report: send: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("report: send: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return fmt.Errorf("report: read answer: %w", err)
	}
	if err := statusError(res, answer); err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("report: read answer: %w", err)
	}
	return nil
}

func statusError(res *http.Response, answer []byte) error {
	kind := map[int]error{
		http.StatusGone:                  ErrGone,
		http.StatusUnauthorized:          ErrRefused,
		http.StatusForbidden:             ErrRefused,
		http.StatusRequestEntityTooLarge: ErrTooLarge,
	}[res.StatusCode]
	switch {
	case res.StatusCode == http.StatusOK:
		return nil
	case kind != nil:
		return fmt.Errorf("%w: %s: %.200q", kind, res.Status, answer)
	}
	return fmt.Errorf("report: answer %s: %.200q", res.Status, answer)
}
