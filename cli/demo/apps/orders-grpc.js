/** The same orders by gRPC: `shop.Orders` with Get and Cancel. Messages are JSON, to need no file of definitions here. */
import { Server, ServerCredentials } from '@grpc/grpc-js';

const json = {
  requestSerialize: (value) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes) => JSON.parse(bytes),
  responseSerialize: (value) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes) => JSON.parse(bytes),
};
const method = (name) => ({ path: `/shop.Orders/${name}`, requestStream: false, responseStream: false, ...json });

const server = new Server();
server.addService(
  { get: method('Get'), cancel: method('Cancel') },
  {
    get: ({ request, metadata }, answer) => answer(null, { ...request, caller: metadata.get('x-forwarded-client-cert')[0] }),
    cancel: ({ request }, answer) => answer(null, { ...request, cancelled: true }),
  },
);
server.bindAsync(`127.0.0.1:${process.env.PORT}`, ServerCredentials.createInsecure(), () => {});
