import assert from 'node:assert/strict';
import { workspaceId } from '../../../src/model/workspace-id.ts';

describe('workspaceId', () => {
  it('is short, the same for one folder and another for the next', () => {
    assert.match(workspaceId('/home/me/helix'), /^[0-9a-f]{12}$/);
    assert.equal(workspaceId('/home/me/helix'), workspaceId('/home/me/helix'));
    assert.notEqual(workspaceId('/home/me/helix'), workspaceId('/home/me/helix2'));
  });

  it('does not depend on how Windows writes a path', () => {
    assert.equal(workspaceId('C:\\Users\\Me\\helix'), workspaceId('c:/Users/Me/helix'));
    assert.notEqual(workspaceId('c:/Users/Me/helix'), workspaceId('c:/users/me/helix'));
  });
});
