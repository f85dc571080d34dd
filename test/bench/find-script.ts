import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Our own equivalent of the guide's `scripts/find-port.sh`, by its description: it draws with replacement, at most 50
 * times, looks for the port with each of three tools that is there, and holds nothing.
 */
const SCRIPT = `#!/usr/bin/env bash
start=$1
end=$2

in_use() {
  if command -v ss >/dev/null && ss -tuln | grep -q ":$1 "; then return 0; fi
  if command -v netstat >/dev/null && netstat -tuln 2>/dev/null | grep -q ":$1 "; then return 0; fi
  if command -v lsof >/dev/null && lsof -nP -i ":$1" >/dev/null 2>&1; then return 0; fi
  return 1
}

for ((try = 0; try < 50; try++)); do
  port=$((start + RANDOM % (end - start + 1)))
  if ! in_use "$port"; then
    echo "$port"
    exit 0
  fi
done
echo "Error: Could not find available port in range $start-$end" >&2
exit 1
`;

export async function writeFindScript(folder: string): Promise<string> {
  const file = join(folder, 'find-port.sh');
  await writeFile(file, SCRIPT);
  await chmod(file, 0o755);
  return file;
}
