import { ANNOUNCE, type Database, type Query } from './database.ts';
import type { Layout } from './agents/layout.ts';

export type JobStatus = 'pending' | 'processing' | 'completed' | 'failed';
export const JOB_STATUSES: readonly JobStatus[] = ['pending', 'processing', 'completed', 'failed'];

/** The steps of a job in their order, each done by one agent. */
export const WORKFLOW = ['planner', 'generator', 'reviewer'] as const;
export type Agent = (typeof WORKFLOW)[number];

/** A task that was begun so often without an end is given up. */
export const MAX_ATTEMPTS = 5;

export interface NewJob {
  readonly prompt: string;
  readonly layout: Layout | null;
}

/** A job as the API shows it. */
export interface JobView {
  readonly id: string;
  readonly status: JobStatus;
  readonly prompt: string;
  readonly layout: Layout | null;
  readonly progress: { readonly done: number; readonly total: number; readonly current: Agent | null };
  readonly tasks: readonly { agent: Agent; status: string; attempts: number }[];
  readonly error: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly completed_at: string | null;
}

interface JobRow extends Record<string, unknown> {
  id: string;
  status: JobStatus;
  prompt: string;
  layout: Layout | null;
  error: string | null;
  created_at: Date;
  updated_at: Date;
  completed_at: Date | null;
  tasks: { agent: Agent; status: string; attempts: number }[] | null;
}

const SELECT_JOBS = `
SELECT j.id, j.status, j.prompt, j.layout, j.error, j.created_at, j.updated_at, j.completed_at,
       (SELECT json_agg(json_build_object('agent', t.agent, 'status', t.status, 'attempts', t.attempts) ORDER BY t.step)
          FROM helix_demo.tasks t WHERE t.job_id = j.id) AS tasks
  FROM helix_demo.jobs j`;

function viewOf(row: JobRow): JobView {
  const tasks = row.tasks ?? [];
  const done = tasks.filter(task => task.status === 'completed').length;
  return {
    id: row.id,
    status: row.status,
    prompt: row.prompt,
    layout: row.layout,
    progress: {
      done,
      total: WORKFLOW.length,
      current: row.status === 'processing' ? (WORKFLOW[done] ?? null) : null,
    },
    tasks,
    error: row.error,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    completed_at: row.completed_at?.toISOString() ?? null,
  };
}

export async function createJob(database: Database, job: NewJob): Promise<JobView> {
  const created = await database.transaction(async query => {
    const [inserted] = await query<{ id: string }>(
      'INSERT INTO helix_demo.jobs (prompt, layout) VALUES ($1, $2) RETURNING id',
      [job.prompt, job.layout],
    );
    await query(ANNOUNCE);
    // Before anybody else can see it, so that the answer is the job as it was made.
    const [row] = await query<JobRow>(`${SELECT_JOBS} WHERE j.id = $1`, [inserted?.id]);
    return row && viewOf(row);
  });
  if (!created) throw new Error('The job was not stored');
  return created;
}

export async function findJob(database: Database, id: string): Promise<JobView | undefined> {
  const [row] = await database.query<JobRow>(`${SELECT_JOBS} WHERE j.id = $1`, [id]);
  return row && viewOf(row);
}

export async function listJobs(
  database: Database,
  limit: number,
  status: JobStatus | null,
): Promise<{ jobs: JobView[]; total: number }> {
  const [count] = await database.query<{ total: number }>(
    'SELECT count(*)::int AS total FROM helix_demo.jobs WHERE $1::text IS NULL OR status = $1',
    [status],
  );
  const rows = await database.query<JobRow>(
    `${SELECT_JOBS} WHERE $1::text IS NULL OR j.status = $1 ORDER BY j.created_at DESC LIMIT $2`,
    [status, limit],
  );
  return { jobs: rows.map(viewOf), total: count?.total ?? 0 };
}

export async function findResult(
  database: Database,
  id: string,
): Promise<{ status: JobStatus; error: string | null; result: unknown } | undefined> {
  const [row] = await database.query<{ status: JobStatus; error: string | null; result: unknown }>(
    'SELECT status, error, result FROM helix_demo.jobs WHERE id = $1',
    [id],
  );
  return row;
}

export async function statistics(database: Database): Promise<Record<string, unknown>> {
  const count = async (table: 'jobs' | 'tasks'): Promise<Record<string, number>> => {
    const rows = await database.query<{ status: string; count: number }>(
      `SELECT status, count(*)::int AS count FROM helix_demo.${table} GROUP BY status`,
    );
    return Object.fromEntries(rows.map(row => [row.status, row.count]));
  };
  const [jobs, tasks] = await Promise.all([count('jobs'), count('tasks')]);
  const [workers] = await database.query<{ count: number }>(
    "SELECT count(DISTINCT worker)::int AS count FROM helix_demo.tasks WHERE status = 'running' AND lease_until > now()",
  );
  return { jobs, tasks, busy_workers: workers?.count ?? 0 };
}

/**
 * One pass of the orchestrator: begins new jobs, moves those whose last step is done, ends the finished and the
 * hopeless. Everything is one transaction over locked rows, so two orchestrators or a kill in between do no harm.
 */
export function orchestrate(database: Database): Promise<{ begun: string[]; moved: string[]; ended: string[] }> {
  return database.transaction(async query => {
    await giveUpExhausted(query);
    const begun = await beginPending(query);
    const { moved, ended } = await advance(query);
    if (begun.length + moved.length + ended.length > 0) await query(ANNOUNCE);
    return { begun, moved, ended };
  });
}

async function giveUpExhausted(query: Query): Promise<void> {
  await query(
    `UPDATE helix_demo.tasks
        SET status = 'failed', lease_until = NULL, error = coalesce(error, 'given up after ' || attempts || ' attempts')
      WHERE status = 'running' AND lease_until < now() AND attempts >= $1`,
    [MAX_ATTEMPTS],
  );
}

async function beginPending(query: Query): Promise<string[]> {
  const rows = await query<{ id: string }>(
    `UPDATE helix_demo.jobs SET status = 'processing', updated_at = now()
      WHERE id IN (SELECT id FROM helix_demo.jobs WHERE status = 'pending'
                    ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED)
      RETURNING id`,
  );
  for (const { id } of rows) await addTask(query, id, 0);
  return rows.map(row => row.id);
}

const addTask = (query: Query, job: string, step: number): Promise<unknown> =>
  query('INSERT INTO helix_demo.tasks (job_id, step, agent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
    job,
    step,
    WORKFLOW[step],
  ]);

interface LastTask extends Record<string, unknown> {
  id: string;
  step: number;
  status: string;
  error: string | null;
}

async function advance(query: Query): Promise<{ moved: string[]; ended: string[] }> {
  const rows = await query<LastTask>(
    `SELECT j.id, t.step, t.status, t.error
       FROM helix_demo.jobs j
       JOIN LATERAL (SELECT step, status, error FROM helix_demo.tasks WHERE job_id = j.id ORDER BY step DESC LIMIT 1) t ON true
      WHERE j.status = 'processing' AND t.status IN ('completed', 'failed')
      ORDER BY j.created_at LIMIT 100 FOR UPDATE OF j SKIP LOCKED`,
  );
  const moved: string[] = [];
  const ended: string[] = [];
  for (const { id, step, status, error } of rows) {
    if (status === 'failed') await endJob(query, id, error ?? 'A task failed');
    else if (step + 1 < WORKFLOW.length) await addTask(query, id, step + 1);
    else await endJob(query, id, null);
    (status === 'completed' && step + 1 < WORKFLOW.length ? moved : ended).push(id);
  }
  return { moved, ended };
}

/** The last step's output is the job's result. */
const endJob = (query: Query, id: string, error: string | null): Promise<unknown> =>
  query(
    `UPDATE helix_demo.jobs
        SET status = CASE WHEN $2::text IS NULL THEN 'completed' ELSE 'failed' END, error = $2,
            result = CASE WHEN $2::text IS NULL THEN
              (SELECT output FROM helix_demo.tasks WHERE job_id = $1 ORDER BY step DESC LIMIT 1) END,
            updated_at = now(), completed_at = now()
      WHERE id = $1`,
    [id, error],
  );

/** A task in a worker's hands. `attempts` is its fence: with another number it is another's. */
export interface ClaimedTask {
  readonly id: string;
  readonly attempts: number;
  readonly agent: Agent;
  readonly job: NewJob & { readonly id: string };
  /** What the steps before it made, by agent. */
  readonly outputs: Readonly<Record<string, unknown>>;
}

export async function claimTask(database: Database, worker: string, leaseMs: number): Promise<ClaimedTask | undefined> {
  const [row] = await database.query<{
    id: string;
    attempts: number;
    agent: Agent;
    job_id: string;
    prompt: string;
    layout: Layout | null;
    outputs: Record<string, unknown> | null;
  }>(
    `WITH claimed AS (
       UPDATE helix_demo.tasks
          SET status = 'running', worker = $1, attempts = attempts + 1,
              lease_until = now() + $2::int * interval '1 millisecond'
        WHERE id = (SELECT id FROM helix_demo.tasks
                     WHERE status = 'pending' OR (status = 'running' AND lease_until < now() AND attempts < $3)
                     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id, attempts, agent, job_id)
     SELECT c.id, c.attempts, c.agent, c.job_id, j.prompt, j.layout,
            (SELECT json_object_agg(t.agent, t.output) FROM helix_demo.tasks t
              WHERE t.job_id = c.job_id AND t.status = 'completed') AS outputs
       FROM claimed c JOIN helix_demo.jobs j ON j.id = c.job_id`,
    [worker, leaseMs, MAX_ATTEMPTS],
  );
  if (!row) return undefined;
  const { id, attempts, agent, job_id, prompt, layout, outputs } = row;
  return { id, attempts, agent, job: { id: job_id, prompt, layout }, outputs: outputs ?? {} };
}

const HELD = `id = $1 AND attempts = $2 AND status = 'running'`;

export async function extendLease(database: Database, task: ClaimedTask, leaseMs: number): Promise<void> {
  await database.query(
    `UPDATE helix_demo.tasks SET lease_until = now() + $3::int * interval '1 millisecond' WHERE ${HELD}`,
    [task.id, task.attempts, leaseMs],
  );
}

/** False when the lease ran out meanwhile and the task is another's. */
export function completeTask(database: Database, task: ClaimedTask, output: unknown): Promise<boolean> {
  return settle(
    database,
    `SET status = 'completed', output = $3::jsonb, lease_until = NULL, error = NULL, completed_at = now()`,
    task,
    JSON.stringify(output),
  );
}

/** Its error is kept; it is tried again until its attempts are used up. */
export function failTask(database: Database, task: ClaimedTask, error: string): Promise<boolean> {
  const status = task.attempts >= MAX_ATTEMPTS ? 'failed' : 'pending';
  return settle(database, `SET status = '${status}', lease_until = NULL, error = $3`, task, error);
}

/** Handed back by a worker that was asked to stop: this try does not count. */
export function releaseTask(database: Database, task: ClaimedTask): Promise<boolean> {
  return settle(
    database,
    `SET status = 'pending', lease_until = NULL, worker = NULL, attempts = attempts - 1, error = $3`,
    task,
    null,
  );
}

function settle(database: Database, set: string, task: ClaimedTask, value: string | null): Promise<boolean> {
  return database.transaction(async query => {
    const rows = await query(`UPDATE helix_demo.tasks ${set} WHERE ${HELD} RETURNING id`, [
      task.id,
      task.attempts,
      value,
    ]);
    if (rows.length > 0) await query(ANNOUNCE);
    return rows.length > 0;
  });
}
