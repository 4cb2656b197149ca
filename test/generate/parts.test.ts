/** The parts of which the simulation of a topology consists. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { Agenda } from "../../src/generate/agenda.ts";
import { Load, slowdown } from "../../src/generate/topology/load.ts";
import { Pool } from "../../src/generate/topology/pool.ts";
import { Topic } from "../../src/generate/topology/topic.ts";

function runAll(agenda: Agenda): void {
  while (agenda.next < Number.POSITIVE_INFINITY) agenda.step();
}

it("an agenda runs actions in the order of their times, and of their planning", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 })), (delays) => {
      const agenda = new Agenda();
      const ran: { time: number; order: number }[] = [];
      for (const [order, delay] of delays.entries())
        agenda.after(delay, () => ran.push({ time: agenda.now, order }));
      runAll(agenda);
      const planned = delays.map((time, order) => ({ time, order }));
      expect(ran).toEqual(planned.sort((a, b) => a.time - b.time || a.order - b.order));
    }),
  );
});

const uses = fc.array(fc.record({ at: fc.nat({ max: 500 }), lasts: fc.nat({ max: 200 }) }));

it("a pool lends no more connections than it has, and lets nobody wait too long", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), uses, (size, visits) => {
      const agenda = new Agenda();
      const pool = new Pool(size, 100);
      let lent = 0;
      let answered = 0;
      for (const { at, lasts } of visits) {
        agenda.after(at, () => {
          pool.acquire(agenda, (got) => {
            answered++;
            expect(agenda.now - at).toBeLessThanOrEqual(100);
            if (!got) return;
            expect(++lent).toBeLessThanOrEqual(size);
            agenda.after(lasts, () => {
              lent--;
              pool.release();
            });
          });
        });
      }
      runAll(agenda);
      expect({ answered, used: pool.used, waiting: pool.waiting }).toEqual({
        answered: visits.length,
        used: 0,
        waiting: 0,
      });
    }),
  );
});

it("a topic processes each message once, in order, by no more consumers than it has", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.nat({ max: 50 }), uses, (consumers, pause, messages) => {
      const agenda = new Agenda();
      const topic = new Topic<{ at: number; lasts: number }>("events", consumers);
      topic.pause = pause;
      const sent: object[] = [];
      const processed: object[] = [];
      let busy = 0;
      for (const message of messages) {
        agenda.after(message.at, () => {
          sent.push(message);
          topic.send(agenda, message, (next, done) => {
            processed.push(next);
            expect(++busy).toBeLessThanOrEqual(consumers);
            agenda.after(next.lasts, () => {
              busy--;
              done();
            });
          });
        });
      }
      runAll(agenda);
      expect(topic.lag).toBe(0);
      expect(processed).toHaveLength(sent.length);
      expect(processed.every((message, i) => message === sent[i])).toBe(true);
    }),
  );
});

it("more arrivals than usual, and less capacity, make a component slower", () => {
  const day = 1;
  const load = new Load(0.3);
  load.usual = 1e-6;
  load.warm(day);
  const usual = load.utilisation(0, day);
  expect(usual).toBeCloseTo(0.3 / 1.6);
  for (let i = 0; i < 60; i++) load.arrive(i * 100_000);
  expect(load.utilisation(6_000_000, day)).toBeGreaterThan(1.5 * usual);
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 2, noNaN: true }),
      fc.double({ min: 0.1, max: 1, noNaN: true }),
      (busy, capacity) => {
        expect(slowdown(busy, capacity)).toBeGreaterThanOrEqual(slowdown(busy / 2, capacity));
        expect(slowdown(busy, capacity / 2)).toBeGreaterThan(slowdown(busy, capacity));
        expect(slowdown(busy, capacity)).toBeGreaterThanOrEqual(1);
      },
    ),
  );
});
