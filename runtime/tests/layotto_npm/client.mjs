// The published Layotto client, unmodified, against a running Pillion: hello and every state call,
// what succeeds and what fails, asserted on value, etag, code and text.
//
// runtime_GRPC_HOST and runtime_GRPC_PORT say where the runtime is (the client's own variables),
// LAYOTTO_STORE which state store to use (default: state). One line per check; exit code 1 if one
// failed, 2 if the runtime did not answer.

import assert from 'node:assert/strict';
import layotto from 'layotto';

const { StateConcurrency, StateConsistency } = layotto.RuntimeTypes.StateOptions;
const UNKNOWN = 2;
const INVALID_ARGUMENT = 3;
const ABORTED = 10;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;

const PATIENCE_MS = 30_000;
setTimeout(() => {
  console.log(`FAIL  the runtime did not answer everything within ${PATIENCE_MS / 1000} s`);
  process.exit(2);
}, PATIENCE_MS).unref();

const storeName = process.env.LAYOTTO_STORE ?? 'state';
const client = new layotto.Client();
const { hello, state } = client;
// Runs share stores: each has its own keys.
const run = `npm-${process.pid}-${Date.now().toString(36)}`;
let count = 0;
const freshKey = () => `${run}-${++count}`;

const text = bytes => Buffer.from(bytes).toString('utf8');
const save = (...states) => state.save({ storeName, states });
const get = key => state.get({ storeName, key });
const remove = (key, etag) => state.delete({ storeName, key, etag });
const transact = (...operations) => state.executeTransaction({
  storeName, operations: operations.map(([ operationType, request ]) => ({ operationType, request })),
});

async function holds(key, value, etag) {
  const found = await get(key);
  assert.ok(found, `${key} has an entry`);
  assert.deepEqual([ text(found.value), found.etag ], [ value, etag ]);
}

async function fails(code, prefix, call) {
  const error = await call.then(() => assert.fail('the call succeeded'), failure => failure);
  if (error instanceof assert.AssertionError) throw error;
  assert.equal(error.code, code, error.message);
  assert.ok(error.details.startsWith(prefix), `${JSON.stringify(error.details)} begins with ${JSON.stringify(prefix)}`);
}

const saving = `failed saving state in state store ${storeName}: `;
const mismatch = 'possible etag mismatch. error from state store: ';

const checks = {
  'hello: the default service greets': async () => {
    assert.equal(await hello.sayHello(), 'greeting');
  },
  'hello: a name is greeted': async () => {
    assert.equal(await hello.sayHello({ serviceName: 'helloworld', name: 'layotto' }), 'greeting, layotto');
  },
  'hello: an unknown service is no instance': async () => {
    await fails(UNKNOWN, 'no instance found', hello.sayHello({ serviceName: 'nope' }));
  },

  'get: a missing key is null': async () => {
    assert.equal(await get(freshKey()), null);
  },
  'get: value and etag of what was saved': async () => {
    const key = freshKey();
    await save({ key, value: 'apple' });
    await holds(key, 'apple', '1');
  },
  'get: bytes come back as they were': async () => {
    const key = freshKey();
    const value = Uint8Array.from({ length: 256 }, (_, index) => index);
    await save({ key, value });
    assert.deepEqual(Buffer.from((await get(key)).value), Buffer.from(value));
  },
  'get: an unknown store': async () => {
    await fails(INVALID_ARGUMENT, 'state store nope is not found', state.get({ storeName: 'nope', key: 'k' }));
  },
  'get: a key with a separator': async () => {
    await fails(UNKNOWN, 'input key/keyPrefix \'a||b\' can\'t contain \'||\'', get('a||b'));
  },

  'save: one item that is not in a list': async () => {
    const key = freshKey();
    await state.save({ storeName, states: { key, value: 'apple' } });
    await holds(key, 'apple', '1');
  },
  'save: several items, and again without etag': async () => {
    const [ one, two ] = [ freshKey(), freshKey() ];
    await save({ key: one, value: 'a' }, { key: two, value: 'b' });
    await save({ key: one, value: 'c' });
    await holds(one, 'c', '2');
    await holds(two, 'b', '1');
  },
  'save: an empty value has an etag': async () => {
    const key = freshKey();
    await save({ key, value: '' });
    await holds(key, '', '1');
  },
  'save: any etag on a new key': async () => {
    const key = freshKey();
    await save({ key, value: 'apple', etag: '42' });
    await holds(key, 'apple', '1');
  },
  'save: the right etag': async () => {
    const key = freshKey();
    await save({ key, value: 'apple' });
    await save({ key, value: 'pear', etag: (await get(key)).etag });
    await holds(key, 'pear', '2');
  },
  'save: a wrong etag changes nothing': async () => {
    const key = freshKey();
    await save({ key, value: 'apple' });
    await fails(ABORTED, saving + mismatch, save({ key, value: 'pear', etag: '7' }));
    await holds(key, 'apple', '1');
  },
  'save: the first write wins over a wrong etag': async () => {
    const options = {
      concurrency: StateConcurrency.CONCURRENCY_FIRST_WRITE, consistency: StateConsistency.CONSISTENCY_STRONG,
    };
    const key = freshKey();
    await save({ key, value: 'apple', options });
    await fails(ABORTED, saving + mismatch, save({ key, value: 'pear', etag: '7', options }));
    await save({ key, value: 'plum', etag: '1', options });
    await holds(key, 'plum', '2');
  },
  'save: the last write wins in spite of a wrong etag': async () => {
    const options = {
      concurrency: StateConcurrency.CONCURRENCY_LAST_WRITE, consistency: StateConsistency.CONSISTENCY_EVENTUAL,
    };
    const key = freshKey();
    await save({ key, value: 'apple' });
    await save({ key, value: 'pear', etag: '7', options });
    await holds(key, 'pear', '2');
  },
  'save: an etag that is no number': async () => {
    const key = freshKey();
    await fails(
      INVALID_ARGUMENT,
      `${saving}invalid etag value: strconv.Atoi: parsing "abc": invalid syntax`,
      save({ key, value: 'apple', etag: 'abc' }),
    );
    assert.equal(await get(key), null);
  },
  'save: what stands before the first failure stays, what stands after it is not made': async () => {
    const [ before, wrong, after ] = [ freshKey(), freshKey(), freshKey() ];
    await save({ key: wrong, value: 'apple' });
    await fails(ABORTED, saving + mismatch, save(
      { key: before, value: 'b' }, { key: wrong, value: 'pear', etag: '7' }, { key: after, value: 'a' },
    ));
    await holds(before, 'b', '1');
    await holds(wrong, 'apple', '1');
    assert.equal(await get(after), null);
  },
  'save: an unknown store': async () => {
    const call = state.save({ storeName: 'nope', states: [{ key: 'k', value: 'v' }] });
    await fails(INVALID_ARGUMENT, 'state store nope is not found', call);
  },

  'getBulk: values and etags in the order asked, without missing keys': async () => {
    const [ one, missing, two ] = [ freshKey(), freshKey(), freshKey() ];
    await save({ key: one, value: 'a' }, { key: two, value: 'b' });
    await save({ key: two, value: 'c' });
    const found = await state.getBulk({ storeName, keys: [ one, missing, two ], parallelism: 2 });
    assert.deepEqual(
      found.map(({ key, value, etag }) => [ key, text(value), etag ]),
      [[ one, 'a', '1' ], [ two, 'c', '2' ]],
    );
  },
  'getBulk: no keys': async () => {
    assert.deepEqual(await state.getBulk({ storeName, keys: [] }), []);
  },
  'getBulk: an unknown store': async () => {
    const call = state.getBulk({ storeName: 'nope', keys: [ 'k' ] });
    await fails(INVALID_ARGUMENT, 'state store nope is not found', call);
  },
  'getBulk: a key with a separator': async () => {
    const call = state.getBulk({ storeName, keys: [ freshKey(), 'a||b' ] });
    await fails(UNKNOWN, 'input key/keyPrefix \'a||b\' can\'t contain \'||\'', call);
  },

  'delete: an entry, and again when it is gone': async () => {
    const key = freshKey();
    await save({ key, value: 'apple' });
    await remove(key);
    assert.equal(await get(key), null);
    await remove(key);
    await remove(key, '7');
  },
  'delete: the right etag': async () => {
    const key = freshKey();
    await save({ key, value: 'apple' });
    await remove(key, '1');
    assert.equal(await get(key), null);
  },
  'delete: a wrong etag, and one that is no number, change nothing': async () => {
    const key = freshKey();
    await save({ key, value: 'apple' });
    for (const etag of [ '7', 'abc' ]) {
      await fails(ABORTED, `failed deleting state with key ${key}: ${mismatch}`, remove(key, etag));
    }
    await holds(key, 'apple', '1');
  },
  'delete: an unknown store': async () => {
    const call = state.delete({ storeName: 'nope', key: 'k' });
    await fails(INVALID_ARGUMENT, 'state store nope is not found', call);
  },

  'deleteBulk: with and without etags': async () => {
    const [ one, two, missing ] = [ freshKey(), freshKey(), freshKey() ];
    await save({ key: one, value: 'a' }, { key: two, value: 'b' });
    await state.deleteBulk({ storeName, states: [{ key: one }, { key: missing }, { key: two, etag: '1' }] });
    assert.deepEqual(await state.getBulk({ storeName, keys: [ one, two ] }), []);
  },
  'deleteBulk: a wrong etag ends it': async () => {
    const [ before, wrong, after ] = [ freshKey(), freshKey(), freshKey() ];
    await save(...[ before, wrong, after ].map(key => ({ key, value: 'apple' })));
    const states = [{ key: before }, { key: wrong, etag: '7' }, { key: after }];
    await fails(UNKNOWN, mismatch, state.deleteBulk({ storeName, states }));
    assert.equal(await get(before), null);
    await holds(wrong, 'apple', '1');
    await holds(after, 'apple', '1');
  },
  'deleteBulk: an unknown store': async () => {
    const call = state.deleteBulk({ storeName: 'nope', states: [{ key: 'k' }] });
    await fails(INVALID_ARGUMENT, 'state store nope is not found', call);
  },

  'transaction: upserts and deletes': async () => {
    const [ fresh, known, gone, missing ] = [ freshKey(), freshKey(), freshKey(), freshKey() ];
    await save({ key: known, value: 'a' }, { key: gone, value: 'b' });
    await transact(
      [ 'upsert', { key: fresh, value: 'new' }],
      [ 'upsert', { key: known, value: 'changed', etag: '1' }],
      [ 'delete', { key: gone }],
      [ 'delete', { key: missing }],
    );
    await holds(fresh, 'new', '1');
    await holds(known, 'changed', '2');
    assert.equal(await get(gone), null);
  },
  'transaction: a wrong etag undoes all of it': async () => {
    const [ fresh, known ] = [ freshKey(), freshKey() ];
    await save({ key: known, value: 'a' });
    await fails(INTERNAL, 'error while executing state transaction: ', transact(
      [ 'upsert', { key: fresh, value: 'new' }], [ 'upsert', { key: known, value: 'changed', etag: '7' }],
    ));
    assert.equal(await get(fresh), null);
    await holds(known, 'a', '1');
  },
  'transaction: an operation that is none': async () => {
    const key = freshKey();
    await fails(UNIMPLEMENTED, 'operation type frob not supported', transact(
      [ 'upsert', { key, value: 'new' }], [ 'frob', { key: freshKey(), value: 'x' }],
    ));
    assert.equal(await get(key), null);
  },
  'transaction: an unknown store': async () => {
    const operations = [{ operationType: 'upsert', request: { key: 'k', value: 'v' } }];
    const call = state.executeTransaction({ storeName: 'nope', operations });
    await fails(INVALID_ARGUMENT, 'state store nope is not found', call);
  },

  'another block: the answer names the method that is not served': async () => {
    const call = client.lock.tryLock({ storeName: 'lock', resourceId: 'r', lockOwner: 'o', expire: 5 });
    await fails(UNIMPLEMENTED, 'method TryLock of spec.proto.runtime.v1.Runtime is not served', call);
  },
};

let failures = 0;
for (const [ name, check ] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok    ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${name}: ${String(error.message ?? error).replaceAll('\n', ' ')}`);
  }
}
client.close();
console.log(`${Object.keys(checks).length - failures} of ${Object.keys(checks).length} checks hold`);
process.exitCode = failures === 0 ? 0 : 1;
