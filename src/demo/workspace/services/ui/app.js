// port-discovery.js finds the API: where the page came from, and elsewhere once it does not answer there any more.
const { helixApi } = window;
// Until it is found, and where it is asked how it is: relative addresses also hold behind a proxy's path.
const api = path =>
  helixApi.api ? helixApi.buildUrl(`/api/v1/${path}`) : new URL(`api/v1/${path}`, document.baseURI).href;
const byId = id => document.getElementById(id);

const EXAMPLES = [
  'A landing page for "Northwind Coffee", brown, with single origins, a tasting room and home delivery',
  'A dark dashboard with visitors, orders, revenue and open tickets, teal accent',
  'A pricing page for "Tidewater", green, with weekly reports, own domain and phone support: $9, $29, $79',
  'A contact form with name, e-mail, phone, date and message in indigo',
];
const AGENTS = { planner: 'Plan', generator: 'Generate', reviewer: 'Review' };
const POLL_MS = 400;

let current;
let timer;

/** Waits while the API is away, and goes to wherever it is then. */
const request = async (path, options) => read(await helixApi.fetch(`/api/v1/${path}`, options));

async function read(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(wordsOf(body.detail) ?? `HTTP ${response.status}`);
  return body;
}

function wordsOf(detail) {
  if (Array.isArray(detail)) return detail.map(one => `${one.loc?.at(-1)}: ${one.msg}`).join('; ');
  return typeof detail === 'string' ? detail : undefined;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function submit(event) {
  event?.preventDefault();
  const prompt = byId('prompt').value.trim();
  if (!prompt) return byId('prompt').focus();
  byId('problem').textContent = '';
  const button = document.querySelector('.primary');
  button.disabled = true;
  try {
    const job = await request('jobs', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ prompt, layout: byId('layout').value || null }),
    });
    await show(job.id);
    await refreshJobs();
  } catch (error) {
    byId('problem').textContent = `It could not be sent: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

async function show(id) {
  current = id;
  clearTimeout(timer);
  clearResult();
  await follow(id);
}

async function follow(id) {
  try {
    const job = await request(`jobs/${id}`);
    if (id !== current) return;
    drawSteps(job);
    if (job.status === 'completed') {
      drawResult((await request(`jobs/${id}/result`)).result);
      return void refreshJobs();
    }
    if (job.status === 'failed') {
      byId('empty').textContent = `The job failed: ${job.error}`;
      return void refreshJobs();
    }
  } catch (error) {
    if (id !== current) return;
    announce(`Waiting for the API: ${error.message}`);
  }
  timer = setTimeout(() => follow(id), POLL_MS);
}

function clearResult() {
  byId('empty').hidden = false;
  byId('empty').textContent = 'In the works…';
  byId('preview').hidden = true;
  byId('code').textContent = '';
  byId('checks').replaceChildren();
  byId('copy').disabled = true;
}

function drawSteps(job) {
  const steps = Object.entries(AGENTS).map(([agent, label]) => {
    const task = job.tasks.find(one => one.agent === agent);
    const item = element('li', { textContent: label });
    item.dataset.state = task?.status ?? 'waiting';
    return item;
  });
  byId('steps').replaceChildren(...steps);
  const { done, total, current: agent } = job.progress;
  announce(
    job.status === 'completed' ? 'Finished' : `${done} of ${total} steps done${agent ? `, ${agent} at work` : ''}`,
  );
}

function drawResult(result) {
  byId('empty').hidden = true;
  byId('preview').srcdoc = result.html;
  byId('preview').hidden = false;
  byId('code').textContent = result.html;
  byId('copy').disabled = false;
  byId('checks').replaceChildren(
    ...result.checks.map(({ name, ok, detail }) => {
      const item = element('li', {}, `${ok ? '✓' : '✕'} ${name} `, element('span', { textContent: detail }));
      item.dataset.ok = ok;
      return item;
    }),
  );
}

function announce(text) {
  if (byId('announce').textContent !== text) byId('announce').textContent = text;
}

async function refreshJobs() {
  const { jobs } = await request('jobs?limit=8').catch(() => ({ jobs: [] }));
  byId('no-jobs').hidden = jobs.length > 0;
  const items = jobs.map(job => {
    const state = element('span', { className: 'state', textContent: job.status });
    state.dataset.state = job.status;
    const button = element(
      'button',
      { type: 'button', title: job.prompt, onclick: () => show(job.id).then(refreshJobs) },
      element('span', { className: 'prompt', textContent: job.prompt }),
      state,
    );
    if (job.id === current) button.setAttribute('aria-current', 'true');
    return element('li', {}, button);
  });
  // Drawn anew only without the keyboard in it, so that the focus is not lost.
  if (!byId('jobs').contains(document.activeElement)) byId('jobs').replaceChildren(...items);
  else
    items.forEach((item, i) =>
      byId('jobs').children[i]?.querySelector('.state')?.replaceWith(item.querySelector('.state')),
    );
}

async function refreshHealth() {
  const target = byId('health');
  const [state, text] = await fetch(api('health'))
    .then(read)
    .then(
      () => ['healthy', `healthy · ${new URL(api('')).host}`],
      error => ['unhealthy', error.message],
    );
  target.dataset.state = state;
  if (target.lastElementChild.textContent !== text) target.lastElementChild.textContent = text;
  setTimeout(refreshHealth, state === 'healthy' ? 5000 : 1000);
}

/** The tab pattern of the ARIA practices: arrows move and choose, one tab stop. */
function setUpTabs() {
  const tabs = [...document.querySelectorAll('[role=tab]')];
  const choose = (chosen, focus) => {
    for (const tab of tabs) {
      tab.setAttribute('aria-selected', String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      byId(tab.getAttribute('aria-controls')).hidden = tab !== chosen;
    }
    if (focus) chosen.focus();
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener('click', () => choose(tab, false));
    tab.addEventListener('keydown', event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose(tabs[(i + step + tabs.length) % tabs.length], true);
    });
  });
}

byId('form').addEventListener('submit', submit);
byId('prompt').addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void submit(event);
});
document.querySelector('.examples').append(
  ...EXAMPLES.map(example =>
    element('button', {
      type: 'button',
      textContent: example.split(/ with |,| for /)[0],
      title: example,
      onclick: () => {
        byId('prompt').value = example;
        byId('prompt').focus();
      },
    }),
  ),
);
byId('copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText(byId('code').textContent);
  announce('Code copied');
});
setUpTabs();
helixApi.addEventListener('lost', () => announce('Waiting for the API…'));
helixApi.addEventListener('found', () => void refreshJobs());
void window.initializeHelixApi();
void refreshHealth();
