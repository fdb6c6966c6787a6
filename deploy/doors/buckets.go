package doors

import (
	// s3:// of AWS, and of whatever speaks like it: MinIO, Ceph, Garage, R2 …. The
	// drivers for gs:// and azblob:// would make the front doors half as big again,
	// and their start as much slower.
	_ "gocloud.dev/blob/s3blob"
)
