package admission

import (
	"os"
	"testing"

	"github.com/everleaf/everleaf/test/controlplane"
)

func TestMain(m *testing.M) { os.Exit(controlplane.Main(m)) }
