package cold

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
)

// Open opens the bucket that a setting names: a folder, by its path or as
// file:///path, made when missing; mem:// for a test; or what a driver is linked
// for, such as s3://bucket?region=… Close it after use.
func Open(ctx context.Context, where string) (*blob.Bucket, error) {
	u, err := url.Parse(where)
	switch {
	case filepath.IsAbs(where):
		return files(where)
	case err != nil:
		return nil, fmt.Errorf("cold: open bucket: %w", err)
	case u.Scheme == "file" && u.Host == "" && filepath.IsAbs(u.Path):
		return files(u.Path)
	case u.Scheme == memblob.Scheme:
		return memblob.OpenBucket(nil), nil
	case u.User != nil:
		return nil, errors.New("cold: open bucket: its address holds credentials: they belong in the environment, as those of the driver")
	}
	drivers := blob.DefaultURLMux()
	if !drivers.ValidBucketScheme(u.Scheme) {
		return nil, fmt.Errorf("cold: open bucket: this program knows no %q, only folders and %s", u.Scheme, strings.Join(drivers.BucketSchemes(), ", "))
	}
	b, err := drivers.OpenBucketURL(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("cold: open bucket: %s", hidden(err, u.Scheme))
	}
	return b, nil
}

// hidden is an error without the address that drivers repeat: it is a secret.
func hidden(err error, scheme string) string {
	return regexp.MustCompile(regexp.QuoteMeta(scheme)+`://\S+`).ReplaceAllString(err.Error(), scheme+"://…")
}

// files keeps blobs in a folder. What a blob is its name tells: files beside it
// that say so would be written one after the other.
func files(dir string) (*blob.Bucket, error) {
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("cold: open folder: %w", err)
	}
	return b, nil
}
