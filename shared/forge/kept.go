package forge

import (
	"container/list"
	"net/http"
	"sync"
)

// keptMost is how many bytes of answers a forge's gate keeps.
const keptMost = 8 << 20

// kept are answers that have an ETag, the longest unused of them going first. An
// answer that has not changed costs a forge's rate limit nothing.
type kept struct {
	mu    sync.Mutex
	most  int
	bytes int
	order *list.List // of *keptAnswer, the newest first
	byKey map[string]*list.Element
}

type keptAnswer struct {
	key    string
	header http.Header
	body   []byte
}

func newKept(most int) *kept {
	return &kept{most: most, order: list.New(), byKey: map[string]*list.Element{}}
}

// conditional makes a request ask only for what changed. The key is empty for a
// request whose answer is not to be kept.
func (k *kept) conditional(r *http.Request) (key string, known *keptAnswer) {
	if r.Method != http.MethodGet {
		return "", nil
	}
	key = r.URL.String() + "\n" + r.Header.Get("Accept")
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.byKey[key]
	if e == nil {
		return key, nil
	}
	k.order.MoveToFront(e)
	known = e.Value.(*keptAnswer)
	r.Header.Set("If-None-Match", known.header.Get("ETag"))
	return key, known
}

func (k *kept) keep(key string, header http.Header, body []byte) {
	size := len(key) + len(body)
	if header.Get("ETag") == "" || size > k.most/4 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.byKey[key]; e != nil {
		k.drop(e)
	}
	k.byKey[key] = k.order.PushFront(&keptAnswer{key, header.Clone(), body})
	k.bytes += size
	for k.bytes > k.most {
		k.drop(k.order.Back())
	}
}

func (k *kept) drop(e *list.Element) {
	a := k.order.Remove(e).(*keptAnswer)
	delete(k.byKey, a.key)
	k.bytes -= len(a.key) + len(a.body)
}
