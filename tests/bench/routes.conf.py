"""../shared/bench: routes. Writes a configuration of 10,000 routes: routes.conf.py DIR, where DIR/routes.txt has
a line for each: host, "exact" or "prefix", path, port of the origin."""

import os
import sys

hosts, ports = {}, set()
with open(os.path.join(sys.argv[1], "routes.txt")) as f:
    for line in f:
        host, kind, path, port = line.split()
        hosts.setdefault(host, []).append((path + ("*" if kind == "prefix" else ""), port))
        ports.add(port)

print("""gateway: {
  workers = 1;
  rundir = "/tmp/gateway-bench/postern/routes/run"; statedir = "/tmp/gateway-bench/postern/routes/state";
  timeouts: { head = "10s"; body = "30s"; idle = "15m"; };
  limits: { head = "32KiB"; headers = 100; target = "8KiB"; };
};
listeners: { main: { bind = [ "127.0.0.1:8100" ]; }; };
upstreams: {""")
for port in sorted(ports):
    print(f'  o{port}: {{ targets = [ "http://127.0.0.1:{port}" ]; timeout: {{ connect = "1s"; response = "30s"; }};'
          ' pool: { idle = 512; idle_timeout = "1h"; }; };')
print("};\nservices: {")
for i, (host, routes) in enumerate(hosts.items()):
    print(f'  host-{i:03d}: {{ domains = [ "{host}" ]; routes = (')
    print(",\n".join(f'    {{ match = "* {path}"; to = "o{port}"; }}' for path, port in routes))
    print("  ); };")
print("};")
