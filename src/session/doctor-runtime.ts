import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UserError } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import { describeUse } from '../ports/allocate.ts';
import type { PostgresConfig } from '../postgres/config.ts';
import { resolvePostgres } from '../postgres/resolve.ts';
import { readEnvBlock } from '../publish/env-file.ts';
import { isClaimed } from '../run/claim.ts';
import { hasLeftovers } from '../run/leftovers.ts';
import { readRecord, recordedServices } from '../run/record.ts';
import { stackDir } from '../run/runtime-dir.ts';
import type { DoctorContext } from './doctor.ts';
import { findContainer } from './postgres-container.ts';
import { postgresConfigOf } from './postgres-service.ts';

/** Whether the database can be had: the one that answers, or one of our own. */
export async function checkPostgres({ plan, embeddedRoots }: DoctorContext): Promise<readonly Finding[]> {
  const id = 'postgres';
  const service = plan.services.find(one => one.kind === 'postgres');
  if (!service) return [];
  let config;
  try {
    config = postgresConfigOf(service, plan, embeddedRoots);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [{ id, severity: 'error', message: error.message, advice: 'Set POSTGRES_PASSWORD in .env.' }];
  }
  const where = `${config.host}:${config.port}`;
  const resolution = await resolvePostgres(config, {
    startingRetries: 5,
    describeHolder: async port => (await describeUse([port])).get(port),
  });
  switch (resolution.kind) {
    case 'reuse':
      return [{ id, severity: 'ok', message: `PostgreSQL ${resolution.version} answers at ${where}.`, advice: '' }];
    case 'start': {
      const message = `No PostgreSQL answers at ${where}; one can be started: ${resolution.engine.version} in ${resolution.engine.binDir}.`;
      return [{ id, severity: 'ok', message, advice: '' }];
    }
    case 'container':
      return [await checkContainer(config)];
    case 'fetch': {
      const message = `No PostgreSQL answers at ${where}, and none is installed.`;
      return [
        {
          id,
          severity: 'warning',
          message,
          advice: `Install PostgreSQL, or let a start fetch ${resolution.package.name}.`,
        },
      ];
    }
    case 'no-database':
      return [
        {
          id,
          severity: 'info',
          message: resolution.detail,
          advice: `A start creates it if the role may. Otherwise: ${resolution.advice}`,
        },
      ];
    case 'occupied':
    case 'unavailable':
      return [{ id, severity: 'error', message: resolution.detail, advice: resolution.advice }];
  }
}

async function checkContainer(config: PostgresConfig): Promise<Finding> {
  const id = 'postgres';
  const where = `${config.host}:${config.port}`;
  try {
    const { engine, container } = await findContainer(config);
    const message = `No PostgreSQL answers at ${where}; ${engine.name} can start the container ${container.name}.`;
    return { id, severity: 'ok', message, advice: '' };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const message = `No PostgreSQL answers at ${where}, and its container cannot be started.`;
    return { id, severity: 'error', message, advice: error.message };
  }
}

/** Whether the folder of what must outlive a process can be had: nothing starts without it. */
export async function checkStateFolder({ plan }: DoctorContext): Promise<readonly Finding[]> {
  const id = 'state-folder';
  try {
    const dir = stackDir(plan.workspace);
    await access(dir, constants.W_OK);
    return [{ id, severity: 'ok', message: `What has to be remembered is kept in ${dir}.`, advice: '' }];
  } catch (error) {
    const message = `What has to be remembered cannot be kept: ${messageOf(error)}`;
    return [{ id, severity: 'error', message, advice: 'Set HELIX_PORTS_HOME to a folder that you may write to.' }];
  }
}

/** What a crash, or a kill, of supervisors left behind. */
export async function checkLeftovers({ plan }: DoctorContext): Promise<readonly Finding[]> {
  const dir = stackDir(plan.workspace);
  const findings: Finding[] = [];
  let isRunning = false;
  for (const id of await recordedServices(dir)) {
    if (await isClaimed(dir, id)) {
      isRunning = true;
      continue;
    }
    const record = await readRecord(dir, id);
    if (await hasLeftovers(dir, id)) {
      findings.push({
        id: 'leftover-process',
        severity: 'warning',
        message: `${id} still runs (pid ${record?.child?.pid ?? 'unknown'}) although its supervisor was killed.`,
        advice: 'Start the services again, or stop them: either ends what was left.',
      });
    } else if (record?.wanted === 'running') {
      findings.push({
        id: 'leftover-record',
        severity: 'info',
        message: `${id} ended without being stopped: its supervisor was killed, or the machine was.`,
        advice: 'Start the services again; its port is kept.',
      });
    }
  }
  if (!isRunning && !plan.publish.keepOnStop) findings.push(...(await stalePublication(plan.publish.envFile)));
  if (findings.length > 0) return findings;
  return [{ id: 'leftovers', severity: 'ok', message: 'No crashed run left anything behind.', advice: '' }];
}

async function stalePublication(envFile: string | undefined): Promise<readonly Finding[]> {
  if (envFile === undefined) return [];
  try {
    const names = [...((await readEnvBlock(envFile))?.keys() ?? [])];
    if (names.length === 0) return [];
    const message = `${envFile} tells ${names.join(', ')}, and nothing runs.`;
    const advice = 'Start the services, or run helix-ports stop: either makes it true.';
    return [{ id: 'leftover-publication', severity: 'warning', message, advice }];
  } catch (error) {
    return [
      {
        id: 'env-local-unreadable',
        severity: 'warning',
        message: messageOf(error),
        advice: `Make ${join(envFile)} readable.`,
      },
    ];
  }
}
