import { type Disposable } from '../base/dispose.ts';
import { messageOf, UserError } from '../base/errors.ts';
import { Emitter } from '../base/event.ts';
import type { Logger } from '../base/logger.ts';
import type { Plan } from '../model/plan.ts';
import { isRunning, type ServiceSnapshot } from '../model/service.ts';
import { tellProxy } from './proxy-service.ts';

/** Lets the proxy follow the plan at once, engine and all. Where that cannot be, it goes on as it is. */
export class ProxyTeller implements Disposable {
  private readonly refused = new Emitter<UserError>();
  /** Plans are read anew with every setting: what is wrong is said once, until it was put right. */
  private said = '';

  /** A proxy that runs cannot be as it is wanted. */
  readonly onRefused = this.refused.event;

  constructor(
    private readonly dir: string,
    private readonly logger: Logger,
  ) {}

  async tell(plan: Plan, proxy: ServiceSnapshot): Promise<void> {
    if (!plan.services.some(service => service.kind === 'proxy')) return;
    try {
      await tellProxy(plan, this.dir);
      this.said = '';
    } catch (error) {
      const message = messageOf(error);
      // Whoever starts one that does not run is told by that start.
      if (this.said === message || !isRunning(proxy.state)) return;
      this.said = message;
      this.logger.warn(message);
      if (error instanceof UserError) this.refused.fire(error);
    }
  }

  dispose(): void {
    this.refused.dispose();
  }
}
