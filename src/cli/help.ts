export const HELP = `helix-ports: every workspace its own ports

usage: helix-ports COMMAND [options]

  find [START END] [SERVICE]  print one free port of a range, or of a service's band
                              (api, orchestrator, worker, proxy); nothing else on stdout
  start [--detach]            start this folder's services; Ctrl-C stops them.
                              --detach leaves them running in the background
  stop [SERVICE]              stop the services, or one of them
  restart [SERVICE]           restart the services, or one of them
  restart SERVICE --rolling   the new process beside the old one, which ends once
                              nothing is open to it: no request is lost
  scale SERVICE N             run N of a service side by side
  status [--json] [--watch]   what runs where; --watch: a live table, in a pipe a line for
                              each change, with --json an object
  url [SERVICE]               print the address of a service; without one that of the API
                              which stays (the proxy's, while there is one)
  logs SERVICE [--follow] [--lines N]
                              print a service's output
  verify [--json]             the guide's checklist on the running stack; --yes also kills
                              the API and takes its port, to see it come back
  dashboard                   serve the dashboard on loopback, for looking only; its
                              address is all that is printed on stdout
  history [SERVICE] [--json|--csv]
                              health checks of this session: time, latency, result
  env                         print the published variables as KEY=value lines
  env --effective [SERVICE] [--json]
                              every variable of a service, and where it comes from: allocated, configuration,
                              .env, default or process; secrets are masked
  who PORT [--json] [--stop]  who has a port: process, user, since when, which service;
                              --stop ends it if it is yours, after asking (--yes: without)
  doctor [--json]             what is wrong here, and what to do about it;
                              exit code 1 if something would keep the services from starting

options:
  -C, --folder DIR   the workspace folder (default: the present one)
  -y, --yes          start: fetch PostgreSQL with npm without asking, if none is installed;
                     who: stop without asking
  -h, --help         this text
  -v, --version      the version

exit codes: 0 done; 1 it did not work, and stderr says why; 2 wrong usage; 70 a defect; 130 ended by Ctrl-C

It sees and controls what the editor started, and the editor what it started.`;
