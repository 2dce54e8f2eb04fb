// The stock client of the same service: @grpc/grpc-js, with its messages made of the contract's descriptors as it
// loads. (The protos themselves have options that protobuf.js does not read.)

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const descriptors = join(dirname(fileURLToPath(import.meta.url)), "../../../proto/baseline.bin");

/** A client for the sidecar at `url`, out of the folder that it was installed into. */
export function stock(modules, url) {
  const require = createRequire(join(modules, "package.json"));
  const grpc = require("@grpc/grpc-js");
  const loader = require("@grpc/proto-loader");
  const definition = loader.loadFileDescriptorSetFromBuffer(readFileSync(descriptors));
  const { StateService } = grpc.loadPackageDefinition(definition).pillion.state.v1;
  const address = url.startsWith("unix://") ? url.replace("unix://", "unix:") : new URL(url).host;
  const client = new StateService(address, grpc.credentials.createInsecure());
  const get = promisify(client.get).bind(client);
  return { get: (key) => get({ key }), close: () => client.close() };
}
