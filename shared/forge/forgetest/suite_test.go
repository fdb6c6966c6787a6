package forgetest_test

import (
	"testing"

	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
)

func TestForges(t *testing.T) { forgetest.Run(t, forge.New) }
