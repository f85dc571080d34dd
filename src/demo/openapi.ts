import { LAYOUTS } from './agents/layout.ts';
import { JOB_STATUSES, WORKFLOW } from './jobs.ts';

export const LIMITS = { prompt: 4000, body: 64 * 1024, listed: 100 } as const;

const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const json = (description: string, schema: object): object => ({
  description,
  content: { 'application/json': { schema } },
});
const detail = (description: string): object => json(description, ref('Detail'));
const idParameter = { name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } };

/** What `/openapi.json` answers, and `/docs` shows. */
export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'HELIX demo',
    version: '2.0.0',
    description: 'A small HELIX: takes a request for a page, plans it, generates it, reviews it.',
  },
  // Relative to this document, so that it also holds behind a proxy's path.
  servers: [{ url: './' }],
  paths: {
    '/api/v1/health': {
      get: {
        summary: 'Health',
        tags: ['health'],
        responses: { 200: json('Healthy', ref('Health')), 503: detail('No database') },
      },
    },
    '/api/v1/health/detailed': {
      get: {
        summary: 'Health with statistics',
        tags: ['health'],
        responses: { 200: json('Healthy', ref('Health')), 503: detail('No database') },
      },
    },
    '/api/v1/jobs': {
      get: {
        summary: 'Jobs, the newest first',
        tags: ['jobs'],
        parameters: [
          { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: LIMITS.listed, default: 20 } },
          { name: 'status', in: 'query', schema: { type: 'string', enum: JOB_STATUSES } },
        ],
        responses: {
          200: json('Jobs', {
            type: 'object',
            properties: { jobs: { type: 'array', items: ref('Job') }, total: { type: 'integer' } },
          }),
        },
      },
      post: {
        summary: 'Ask for a page',
        tags: ['jobs'],
        requestBody: { required: true, content: { 'application/json': { schema: ref('NewJob') } } },
        responses: { 201: json('Taken', ref('Job')), 422: detail('Invalid input'), 503: detail('No database') },
      },
    },
    '/api/v1/jobs/{id}': {
      get: {
        summary: 'A job',
        tags: ['jobs'],
        parameters: [idParameter],
        responses: { 200: json('The job', ref('Job')), 404: detail('Unknown') },
      },
    },
    '/api/v1/jobs/{id}/result': {
      get: {
        summary: "A finished job's result",
        tags: ['jobs'],
        parameters: [idParameter],
        responses: {
          200: json('The result', ref('Result')),
          404: detail('Unknown'),
          409: detail('Not finished, or failed'),
        },
      },
    },
  },
  components: {
    schemas: {
      Detail: { type: 'object', properties: { detail: {} } },
      Health: {
        type: 'object',
        properties: {
          status: { type: 'string', const: 'healthy' },
          timestamp: { type: 'string', format: 'date-time' },
          components: { type: 'object', additionalProperties: { type: 'string' } },
          statistics: { type: 'object' },
          workspace: { type: 'string', description: 'The id of the folder that it runs in' },
        },
      },
      NewJob: {
        type: 'object',
        required: ['prompt'],
        properties: {
          prompt: {
            type: 'string',
            minLength: 1,
            maxLength: LIMITS.prompt,
            examples: ['A pricing page for "Tidewater", green, with weekly reports, own domain and phone support'],
          },
          layout: { type: ['string', 'null'], enum: [...LAYOUTS, null] },
        },
      },
      Job: {
        type: 'object',
        properties: {
          id: { type: 'string', format: 'uuid' },
          status: { type: 'string', enum: JOB_STATUSES },
          prompt: { type: 'string' },
          layout: { type: ['string', 'null'] },
          progress: {
            type: 'object',
            properties: {
              done: { type: 'integer' },
              total: { type: 'integer' },
              current: { type: ['string', 'null'], enum: [...WORKFLOW, null] },
            },
          },
          tasks: { type: 'array', items: { type: 'object' } },
          error: { type: ['string', 'null'] },
          created_at: { type: 'string', format: 'date-time' },
          updated_at: { type: 'string', format: 'date-time' },
          completed_at: { type: ['string', 'null'], format: 'date-time' },
        },
      },
      Result: {
        type: 'object',
        properties: { job_id: { type: 'string' }, status: { type: 'string' }, result: { type: 'object' } },
      },
    },
  },
} as const;
