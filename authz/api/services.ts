/** Methods of gRPC services as operations: `POST /package.Service/Method` (gRPC over HTTP/2, "Requests"). */
import type { ApiReading, DescribedOperation } from './description.ts';
import { isRefusal } from './faults.ts';
import type { ApiFaults } from './faults.ts';

export interface ServiceMethods {
  /** With its package: `shop.CartService`. */
  readonly service: string;
  readonly methods: readonly string[];
}

/** A method's id is `shop.CartService/AddItem`; `tag:shop.CartService` is every method of the service that is described. */
export function readServices(services: readonly ServiceMethods[], title: string, faults: ApiFaults): ApiReading {
  const operations: DescribedOperation[] = [];
  const seen = new Set<string>();
  for (const { methods, service } of services) {
    for (const method of methods) {
      const id = `${service}/${method}`;
      if (!NAME.test(id)) faults.add('api_invalid', service, `Cannot import the method "${id}": it is no name`);
      if (seen.has(id)) faults.add('api_operation_id', service, `Cannot import the method "${id}": it stands twice`);
      seen.add(id);
      const path = `/${id}`;
      const rest = { security: [], parameters: [], keepsEncodedSlashes: false };
      operations.push({ id, method: 'POST', path, tags: [service], where: id, template: path, ...rest });
    }
  }
  if (operations.length > MAX_OPERATIONS) {
    faults.add('api_too_large', '', `Cannot import the API: found more than ${MAX_OPERATIONS} methods`);
  }
  if (operations.length === 0) faults.add('api_empty', '', 'The description has no method');
  const isRefused = faults.list.some(isRefusal);
  return { description: isRefused ? null : { format: 'grpc', title, operations }, faults: faults.list };
}

const NAME = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\/[A-Za-z_]\w*$/;
const MAX_OPERATIONS = 10_000;
