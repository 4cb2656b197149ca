/**
 * Returns an object that is `target` except for the members of `own`. Methods of `target` run on `target` itself, which may have
 * private members.
 */
export function overlay<T extends object>(target: T, own: { readonly [name: string]: unknown }): T {
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === "string" && Object.hasOwn(own, name)) return own[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
