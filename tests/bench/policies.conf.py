"""../shared/bench: policies. Writes a configuration with 10,000 API keys, a limit per consumer, a JSON access log and
headers: policies.conf.py DIR, where DIR/keys.txt has a line for each key: key, consumer, requests per second."""

import hashlib
import os
import sys

directory = sys.argv[1]
plans = {}
with open(os.path.join(directory, "keys.txt")) as f, open(os.path.join(directory, "consumers.txt"), "w") as to:
    for line in f:
        key, consumer, rate = line.split()
        plan = plans.setdefault(rate, f"rate-{rate}")
        to.write(f"{consumer} sha256:{hashlib.sha256(key.encode()).hexdigest()} {plan}\n")

print(f"""gateway: {{
  workers = 1;
  rundir = "/tmp/gateway-bench/postern/policies/run"; statedir = "/tmp/gateway-bench/postern/policies/state";
  timeouts: {{ head = "10s"; body = "30s"; idle = "15m"; }};
  limits: {{ head = "32KiB"; headers = 100; target = "8KiB"; }};
  consumers_file = "{directory}/consumers.txt";
}};
listeners: {{ main: {{ bind = [ "127.0.0.1:8100" ]; }}; }};
upstreams: {{
  origin: {{
    targets = [ "http://127.0.0.1:9000" ];
    timeout: {{ connect = "1s"; response = "30s"; }};
    pool: {{ idle = 512; idle_timeout = "1h"; }};
  }};
}};
plans: {{""")
for rate, plan in plans.items():
    print(f'  {plan}: {{ rate = "{rate}/s"; }};')
print(f"""}};
policies: {{
  log:     {{ type = "access-log"; path = "{directory}/access.log";
             fields: {{ method = "{{method}}"; path = "{{path}}"; status = "{{status}}"; consumer = "{{consumer}}"; }}; }};
  key:     {{ type = "api-key"; header = "x-api-key"; }};
  by-plan: {{ type = "rate-limit"; rate = "plan"; }};
  tell:    {{ type = "headers"; request: {{ set: {{ X-Consumer = "{{consumer}}"; }}; }};
             response: {{ remove = [ "x-internal" ]; }}; }};
}};
services: {{
  all: {{
    domains = [ "*" ];
    policies = [ "log", "key", "by-plan", "tell" ];
    routes = ( {{ name = "all"; match = "* /*"; to = "origin"; }} );
  }};
}};""")
