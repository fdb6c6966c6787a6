package redis

import (
	_ "embed" // the scripts

	goredis "github.com/redis/go-redis/v9"
)

// The scripts, one a verb. Each touches the keys of one partition alone; its
// head says what it takes and gives. row.lua is no verb: it stands before two.
var (
	//go:embed scripts/commit.lua
	commitLua string
	//go:embed scripts/outbox.lua
	outboxLua string
	//go:embed scripts/prune.lua
	pruneLua string
	//go:embed scripts/join.lua
	joinLua string
	//go:embed scripts/append.lua
	appendLua string
	//go:embed scripts/read.lua
	readLua string
	//go:embed scripts/close.lua
	closeLua string
	//go:embed scripts/remove.lua
	removeLua string
	//go:embed scripts/cool.lua
	coolLua string
	//go:embed scripts/record.lua
	recordLua string
	//go:embed scripts/row.lua
	rowLua string
	//go:embed scripts/put.lua
	putLua string
	//go:embed scripts/drop.lua
	dropLua string
	//go:embed scripts/filter.lua
	filterLua string
	//go:embed scripts/allow.lua
	allowLua string

	commitScript = goredis.NewScript(commitLua)
	outboxScript = goredis.NewScript(outboxLua)
	pruneScript  = goredis.NewScript(pruneLua)
	joinScript   = goredis.NewScript(joinLua)
	appendScript = goredis.NewScript(appendLua)
	readScript   = goredis.NewScript(readLua)
	closeScript  = goredis.NewScript(closeLua)
	removeScript = goredis.NewScript(removeLua)
	coolScript   = goredis.NewScript(coolLua)
	recordScript = goredis.NewScript(recordLua)
	putScript    = goredis.NewScript(rowLua + putLua)
	dropScript   = goredis.NewScript(rowLua + dropLua)
	filterScript = goredis.NewScript(filterLua)
	allowScript  = goredis.NewScript(allowLua)
)
