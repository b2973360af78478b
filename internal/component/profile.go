package component

import (
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Profiles says whether and where profiles are served.
type Profiles struct {
	Enabled bool
	// Address is host:port.
	Address string
}

// FlagProfiles is the flag of the address.
const FlagProfiles = "profiler-address"

// DefaultProfiles has cert-manager's values.
func DefaultProfiles() Profiles { return Profiles{Address: "localhost:6060"} }

// AddFlags adds the flags, with p's values as defaults.
func (p *Profiles) AddFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&p.Enabled, "enable-profiling", p.Enabled, "serve profiles")
	fs.StringVar(&p.Address, FlagProfiles, p.Address, "host:port of the profiles, under /debug/pprof")
}

// Listen adds the address to listeners, if profiles are served.
func (p *Profiles) Listen(l Listeners) {
	if p.Enabled {
		l[FlagProfiles] = p.Address
	}
}

// Add has the profiles served, if they are.
func (p *Profiles) Add(to Adder) error {
	if !p.Enabled {
		return nil
	}
	return to.Add(profiler(p.Address))
}

// profiler serves profiles as cert-manager does: without the command line.
func profiler(address string) *manager.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/pprof/cmdline" {
			http.NotFound(w, r)
			return
		}
		pprof.Index(w, r)
	})
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &manager.Server{
		Name:            "pprof",
		Server:          &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 32 * time.Second},
		ShutdownTimeout: ptr.To(time.Second),
	}
}
