/** One of every key that there is, with comments and trailing commas. */
export const FULL_CONFIG = `\ufeff{
  // The whole format.
  "$schema": "./helix.config.schema.json",
  "services": {
    "postgres": { "type": "postgres", "readiness": { "timeoutSeconds": 120 }, },
    "api": {
      "label": "API",
      "command": { "win32": ["py", "-m", "api"], "default": ["\${node}", "api.cjs", "$\${x}"] },
      "cwd": "backend",
      "env": { "API_PORT": "\${port}", "WORKERS": 2, "DEBUG": true, "DB": "\${port:postgres}", "H": "\${env:HOME}" },
      "port": { "from": 9000, "to": 9010 },
      "readiness": { "http": "/health", "status": 204, "expect": { "status": ["ok", null] }, "timeoutSeconds": 30.5 },
      "dependsOn": ["postgres"],
      "replicas": 2,
      "restart": { "policy": "on-failure", "initialDelayMs": 100, "maxDelayMs": 1000, "maxExits": 3, "windowSeconds": 10, "resetSeconds": 5 },
      "stopTimeoutSeconds": 3,
      "tty": false,
      "path": "/docs",
    },
    "worker": { "command": ["worker"], "port": false, "readiness": { "aliveSeconds": 0 },
      "watch": ["src/worker/**/*.py", "!**/generated/**"] },
  },
  "publish": { "envFile": false, "names": { "VITE_HELIX_API_URL": "\${url:api}/v1" }, "settings": false, "keepOnStop": true },
  "proxy": { "enabled": true, "engine": "nginx", "port": 8080, "strict": true, "drainSeconds": 0,
    "origins": ["http://localhost:5173", "https://dev.example", "null", "\${url:api}"], "watch": ["src/**/*.py"] },
  "postgres": { "engine": "docker" },
}`;
