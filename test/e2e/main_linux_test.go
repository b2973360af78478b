package e2e

import (
	"os"
	"testing"

	"github.com/everleaf/everleaf/test/isolated"
)

func TestMain(m *testing.M) { os.Exit(isolated.Main(m)) }
