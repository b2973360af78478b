package node

import "fmt"

// Addresses of the node. All are on its loopback interface, from where pods reach them
// too, and nothing outside of the namespace does.
const (
	// Address is that of the node, for the kubelet and the API server (RFC 5737).
	Address = "192.0.2.10"
	// Resolver is where a public recursive resolver is to be, the one of the seeds.
	Resolver = "8.8.8.8"
	// Authoritative and ACME are for a name server and an ACME server of tests, Edge is
	// for an ingress controller, and Vendor for the API of a DNS provider.
	Authoritative = "192.0.2.53"
	ACME          = "192.0.2.14"
	Edge          = "192.0.2.80"
	Vendor        = "192.0.2.43"
)

// Addresses within the cluster.
const (
	// ClusterDNS is the address of CoreDNS's Service, in the range of local's control
	// plane.
	ClusterDNS = "10.96.0.10"
	// serviceRange is that of local's control plane.
	serviceRange = "10.96.0.0/16"
	podRange     = "10.244.0.0/16"
)

// PodImage is the image of the program in pod/, for pods of tests. It is also that of
// the container that holds a pod's network.
const PodImage = "everleaf.test/pod:v1"

const coreDNSImage = "everleaf.test/coredns:v1"

// cniPlugins is where Debian puts them.
const cniPlugins = "/usr/lib/cni"

const containerdSocket = "/run/containerd/containerd.sock"

// containerdConfig keeps all in memory. restrict_oom_score_adj is for machines on which
// root lacks CAP_SYS_RESOURCE, and AppArmor is off because a profile that is loaded stays
// in the kernel.
func containerdConfig(dir string) string {
	return fmt.Sprintf(`version = 2
root = "%[1]s/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = %[2]q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %[3]q
restrict_oom_score_adj = true
disable_apparmor = true
disable_tcp_service = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "%[4]s"
conf_dir = "%[1]s/cni"
`, dir, containerdSocket, PodImage, cniPlugins)
}

// cniConfig is a bridge with hairpin, so that a pod reaches itself through its Service.
const cniConfig = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true, "ipMasq": false,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + podRange + `"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// kubeletConfig lets a disk be full and checks nothing that concerns only the machine.
func kubeletConfig(clientCA, resolvConf string) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: %[1]s}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://%[2]s
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
protectKernelDefaults: true
oomScoreAdj: 0
localStorageCapacityIsolation: false
evictionHard: {memory.available: "0%%", nodefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.available: "0%%", imagefs.inodesFree: "0%%"}
imageGCHighThresholdPercent: 100
clusterDNS: ["%[3]s"]
clusterDomain: cluster.local
resolvConf: %[4]s
`, clientCA, containerdSocket, ClusterDNS, resolvConf)
}

// proxyConfig leaves the settings of connection tracking as they are: some are the
// machine's.
func proxyConfig(kubeconfig string) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %s}
mode: iptables
clusterCIDR: %s
hostnameOverride: node
oomScoreAdj: 0
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
metricsBindAddress: 127.0.0.1:10249
healthzBindAddress: 127.0.0.1:10256
`, kubeconfig, podRange)
}
