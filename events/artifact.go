package events

// ArtifactPublished says that an attempt published an artifact.
type ArtifactPublished struct {
	AttemptRef
	Name string `json:"name"`
	// Digest is sha256:<hexadecimal>.
	Digest string `json:"digest"`
	// Size in bytes.
	Size int64 `json:"size"`
}

// ArtifactEvicted says that an artifact's bytes are gone.
type ArtifactEvicted struct {
	RunRef
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Reason string `json:"reason"`
}

// CachePublished says that a cache entry can be restored.
type CachePublished struct {
	AttemptRef
	Key    string `json:"key"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// CacheEvicted says that a cache entry is gone.
type CacheEvicted struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

// Subject is cache/<key>.
func (e CacheEvicted) Subject() string { return "cache/" + e.Key }
