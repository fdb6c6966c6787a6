package events

// ArtifactPublished says that an attempt published an artifact.
type ArtifactPublished struct {
	AttemptRef
	// Name of the artifact, one of its run.
	Name string `json:"name"`
	// Digest is sha256:<hexadecimal>.
	Digest string `json:"digest"`
	// Size in bytes.
	Size int64 `json:"size"`
}

// ArtifactEvicted says that an artifact's bytes are gone.
type ArtifactEvicted struct {
	RunRef
	// Name of the artifact.
	Name string `json:"name"`
	// Digest is sha256:<hexadecimal>.
	Digest string `json:"digest"`
	// Reason says why: its time is up, room was needed, a person removed it.
	Reason string `json:"reason"`
}

// CachePublished says that a cache entry can be restored.
type CachePublished struct {
	AttemptRef
	// Key that a restore asks for.
	Key string `json:"key"`
	// Digest is sha256:<hexadecimal>.
	Digest string `json:"digest"`
	// Size in bytes.
	Size int64 `json:"size"`
}

// CacheEvicted says that a cache entry is gone.
type CacheEvicted struct {
	// Key of the entry.
	Key string `json:"key"`
	// Reason says why: its time is up, room was needed, a person removed it.
	Reason string `json:"reason"`
}

// Subject is cache/<key>.
func (e CacheEvicted) Subject() string { return "cache/" + e.Key }
