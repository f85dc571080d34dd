import assert from 'node:assert/strict';
import type * as vscode from 'vscode';
import type { FolderStack } from '../../../src/editor/folder-stack.ts';
import type { FolderStacks } from '../../../src/editor/folder-stacks.ts';
import { ServiceTree, type TreeNode } from '../../../src/editor/tree.ts';
import { Emitter } from '../../../src/base/event.ts';
import { type ServiceSnapshot, type ServiceState, stoppedSnapshot, toServiceId } from '../../../src/model/service.ts';
import { folder } from '../helix.ts';

const HEALTHY: ServiceState = { kind: 'healthy', since: 1 };

function service(id: string, state: ServiceState, replicaOf?: string): ServiceSnapshot {
  const group = replicaOf === undefined ? {} : { replicaOf: toServiceId(replicaOf) };
  return { ...stoppedSnapshot({ id: toServiceId(id), label: id, host: '127.0.0.1', ...group }), state };
}

/** The view's rows over services that are only described. */
function treeOf(services: { now: readonly ServiceSnapshot[] }): { tree: ServiceTree; changed: Emitter<void> } {
  const stack = {
    plan: { services: [] },
    get snapshot() {
      return { workspace: '/w', services: services.now };
    },
  };
  const owner = { folder: folder(), stack } as unknown as FolderStack;
  const changed = new Emitter<void>();
  return { tree: new ServiceTree({ all: [owner], onChange: changed.event } as unknown as FolderStacks), changed };
}

const idsOf = (nodes: readonly TreeNode[]): string[] =>
  nodes.map(node => (node.kind === 'service' ? node.id : node.kind));

describe('the rows of the HELIX view', () => {
  const starting: ServiceState = { kind: 'starting', since: 1 };
  const services = {
    now: [service('api', HEALTHY), service('api-2', starting, 'api'), service('worker', HEALTHY)] as ServiceSnapshot[],
  };

  it('have replicas beneath the first of them, which sums them up', () => {
    const { tree } = treeOf(services);
    const [api, worker] = tree.getChildren() as [TreeNode, TreeNode];
    assert.deepEqual(idsOf([api, worker]), ['api', 'worker']);
    assert.equal(tree.getTreeItem(api).description, 'healthy  (1 healthy, 1 starting)');
    assert.equal(tree.getTreeItem(worker).description, 'healthy');
    const [second] = tree.getChildren(api) as [TreeNode];
    assert.deepEqual(idsOf([second]), ['api-2']);
    assert.equal(tree.getParent(second), api);
    assert.equal(tree.getTreeItem(second).description, 'starting');
    assert.ok(tree.getChildren(second).every(node => node.kind === 'fact'));
    tree.dispose();
  });

  it('are drawn anew with the first where only a replica changes', () => {
    const changing = { now: services.now };
    const { tree, changed } = treeOf(changing);
    const drawn: (TreeNode | undefined)[] = [];
    const [api] = tree.getChildren() as [TreeNode];
    tree.getChildren(api);
    // The first time all rows are new, the second time what is in them.
    changed.fire();
    changed.fire();
    const subscription: vscode.Disposable = tree.onDidChangeTreeData(node => drawn.push(node));
    changing.now = [services.now[0]!, service('api-2', HEALTHY, 'api'), services.now[2]!];
    changed.fire();
    assert.deepEqual(idsOf(drawn.filter(node => node !== undefined)), ['api', 'api-2']);
    assert.equal(tree.getTreeItem(api).description, 'healthy  (2 healthy)');
    changing.now = [services.now[0]!, services.now[2]!];
    drawn.length = 0;
    changed.fire();
    assert.deepEqual(drawn, [undefined], 'all, as a row is gone');
    subscription.dispose();
    tree.dispose();
  });
});
