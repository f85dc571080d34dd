import type { PortDiscoveryConstructor, PortDiscoveryOptions } from './contract.ts';
import { Discovery } from './discovery.ts';
import { browserPage } from './page.ts';
import { Requests } from './requests.ts';

/*
 * Built to one file that a page loads with a plain `<script src="port-discovery.js">`. It keeps the contract of HELIX
 * v2.0's page, and offers the class behind it.
 */

const page = browserPage();
/** One for the whole page, so that all that search share its connections. */
const requests = new Requests(page);

class PagePortDiscovery extends Discovery {
  constructor(options: PortDiscoveryOptions = {}) {
    super(options, page, requests);
  }
}

// Loaded twice, the first one goes on with what it has found.
const loaded: unknown = window.helixApi;
if (!loaded) {
  // Only its listeners' parameter is told more precisely than `EventTarget` does.
  window.PortDiscovery = PagePortDiscovery as unknown as PortDiscoveryConstructor;
  window.helixApi = new window.PortDiscovery();
  window.initializeHelixApi = async ({ signal, ...options } = {}) => {
    try {
      window.helixApi.configure(options);
      await window.helixApi.discoverApiEndpoint({ signal });
      return true;
    } catch (error) {
      console.warn(String(error));
      return false;
    }
  };
  window.getHelixApiBase = () => window.helixApi.api?.base ?? '';
  window.buildHelixApiUrl = path => window.helixApi.buildUrl(path);
}
