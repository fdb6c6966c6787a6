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
//	relevo:{meta}:once:<name> string: somebody was the first, for a while
//
// Logs and feed are kept beside the partitions, each with a tag of its own:
//
//	relevo:{logs}:lengths:<run>     hash: length by log
//	relevo:{logs}:limits:<run>      hash: the size that a log was closed with
//	relevo:{logs}:log:<run>/<log>   stream: chunks by offset + 1
//	relevo:{logs}:bytes             string: length of all logs
//	relevo:{logs}:closed            sorted set: <run>/<log> that can be moved, by second
//	relevo:{feed}:feed              hash: generation, last, dropped, bytes
//	relevo:{feed}:ids               hash: number of an entry by event id
//	relevo:{feed}:entries           stream: entries by number
//
// so do the read models, which can be had again from the documents:
//
//	relevo:{view}:row:<kind>               hash: row id → version, score, indexes, body
//	relevo:{view}:index:<kind>:<name>      sorted set, all scores 0: "<ms>/<row id>"
//	relevo:{view}:values:<kind>:<field>    sorted set, all scores 0: values with a row
//	relevo:{view}:gone:<kind>:<row id>     string, for a day: version that the row was deleted by
//
// and how often somebody asked lately, which goes by itself:
//
//	relevo:{limits}:<kind>:<caller>  string: microseconds until which their room is taken up
//
// and channels of their own, on which a change is told.
const (
	storeKey      = "relevo:{meta}:store"
	partitionsKey = "relevo:{meta}:partitions"

	logBytesKey = "relevo:{logs}:bytes"
	logsClosed  = "relevo:{logs}:closed"
	logsChanged = "relevo:{logs}:changed" // a channel: <run>/<log>

	feedKey     = "relevo:{feed}:feed"
	feedIDsKey  = "relevo:{feed}:ids"
	entriesKey  = "relevo:{feed}:entries"
	feedChanged = "relevo:{feed}:changed" // a channel
)

// viewKeys builds the keys of the read model of one kind.
type viewKeys string

func (k viewKeys) rows() string             { return "relevo:{view}:row:" + string(k) }
func (k viewKeys) index(name string) string { return "relevo:{view}:index:" + string(k) + ":" + name }

func (k viewKeys) values(field string) string {
	return "relevo:{view}:values:" + string(k) + ":" + field
}
func (k viewKeys) gone(id string) string { return "relevo:{view}:gone:" + string(k) + ":" + id }

func onceKey(name string) string { return "relevo:{meta}:once:" + name }

func limitKey(kind, caller string) string { return "relevo:{limits}:" + kind + ":" + caller }

func logLengths(run string) string     { return "relevo:{logs}:lengths:" + run }
func logLimits(run string) string      { return "relevo:{logs}:limits:" + run }
func logChunks(run, log string) string { return "relevo:{logs}:log:" + run + "/" + log }

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
