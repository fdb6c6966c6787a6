package redis

import (
	"strings"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Every key is built here. All the keys of a partition carry its hash tag:
//
//	relevo:{p07}:doc:<kind>   hash: document id → "<version>|<body>"
//	relevo:{p07}:inbox        hash: "<function>/<event id>" → ledger id, or ms where there is no record
//	relevo:{p07}:ledger       stream: a (absorbed) and e (emitted), JSON lines
//	relevo:{p07}:outbox       sorted set: padded ledger id by ms, of what nobody struck
//	relevo:{p07}:due          sorted set: aggregate by ms
//	relevo:{p07}:queue        sorted set: member by score
//	relevo:{p07}:pruned       string: cursor of the scan that prunes the inbox
//	relevo:{meta}:store       hash: installation, epoch, run, replication
//	relevo:{meta}:partitions  set: the partitions besides those of runs
const (
	storeKey      = "relevo:{meta}:store"
	partitionsKey = "relevo:{meta}:partitions"
)

// partition builds the keys of one partition; it is their common start.
type partition string

func keysOf(p protocol.Partition) partition {
	return partition("relevo:{" + escape.Replace(string(p)) + "}:")
}

// escape keeps a brace in the name of a group from ending the hash tag.
var escape = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

func (p partition) docs(kind string) string { return string(p) + "doc:" + kind }
func (p partition) inbox() string           { return string(p) + "inbox" }
func (p partition) ledger() string          { return string(p) + "ledger" }
func (p partition) outbox() string          { return string(p) + "outbox" }
func (p partition) due() string             { return string(p) + "due" }
func (p partition) queue() string           { return string(p) + "queue" }
func (p partition) pruned() string          { return string(p) + "pruned" }
