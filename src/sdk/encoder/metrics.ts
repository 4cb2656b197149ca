/** Metrics of the OpenTelemetry JS SDK as OTLP. */
import {
  type AttributesLike,
  beginResource,
  beginScope,
  endRecords,
  type HrTime,
  type ResourceLike,
  type ScopeLike,
  writeAttributes,
} from "./values.ts";
import { Writer } from "./writer.ts";

/** A data point of the SDK. */
export interface PointLike {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly attributes: AttributesLike;
  readonly value: unknown;
}

/** `MetricData` of the SDK, as far as it is encoded. */
export interface MetricLike {
  readonly descriptor: {
    readonly name: string;
    readonly description?: string | undefined;
    readonly unit?: string | undefined;
    /** 0 if values are whole numbers. */
    readonly valueType: number;
  };
  /** 0 of the SDK is delta, 1 is cumulative. */
  readonly aggregationTemporality: number;
  /** 0 of the SDK is a histogram, 1 an exponential one, 2 a gauge, and 3 a sum. */
  readonly dataPointType: number;
  readonly isMonotonic?: boolean | undefined;
  readonly dataPoints: readonly PointLike[];
}

/** `ResourceMetrics` of the SDK. */
export interface ResourceMetricsLike {
  readonly resource: ResourceLike;
  readonly scopeMetrics: readonly { readonly scope: ScopeLike; readonly metrics: readonly MetricLike[] }[];
}

interface HistogramLike {
  readonly count: number;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
  readonly buckets: { readonly boundaries: readonly number[]; readonly counts: readonly number[] };
}

interface BucketsLike {
  readonly offset: number;
  readonly bucketCounts: readonly number[];
}

interface ExponentialHistogramLike extends Omit<HistogramLike, "buckets"> {
  readonly scale: number;
  readonly zeroCount: number;
  readonly positive: BucketsLike;
  readonly negative: BucketsLike;
}

const wholeNumbers = 0;

function writeNumber(writer: Writer, point: PointLike, valueType: number): void {
  writer.time(2, point.startTime);
  writer.time(3, point.endTime);
  if (valueType === wholeNumbers) writer.fixed64(6, point.value as number);
  else writer.double(4, point.value as number);
  writeAttributes(writer, 7, point.attributes);
}

function writeHistogram(writer: Writer, point: PointLike): void {
  const { count, sum, min, max, buckets } = point.value as HistogramLike;
  writer.time(2, point.startTime);
  writer.time(3, point.endTime);
  writer.fixed64(4, count);
  if (sum !== undefined) writer.double(5, sum);
  packed(writer, 6, buckets.counts, (each) => writer.packedFixed64(each));
  packed(writer, 7, buckets.boundaries, (each) => writer.packedDouble(each));
  writeAttributes(writer, 9, point.attributes);
  if (min !== undefined) writer.double(11, min);
  if (max !== undefined) writer.double(12, max);
}

function writeExponentialHistogram(writer: Writer, point: PointLike): void {
  const { count, sum, min, max, scale, zeroCount, positive, negative } =
    point.value as ExponentialHistogramLike;
  writeAttributes(writer, 1, point.attributes);
  writer.time(2, point.startTime);
  writer.time(3, point.endTime);
  writer.fixed64(4, count);
  if (sum !== undefined) writer.double(5, sum);
  if (scale !== 0) writer.sint32(6, scale);
  writer.fixed64(7, zeroCount);
  writeBuckets(writer, 8, positive);
  writeBuckets(writer, 9, negative);
  if (min !== undefined) writer.double(12, min);
  if (max !== undefined) writer.double(13, max);
}

function writeBuckets(writer: Writer, field: number, { offset, bucketCounts }: BucketsLike): void {
  const start = writer.begin(field);
  if (offset !== 0) writer.sint32(1, offset);
  packed(writer, 2, bucketCounts, (each) => writer.varint64(each));
  writer.end(start);
}

function packed(writer: Writer, field: number, values: readonly number[], write: (value: number) => void) {
  if (values.length === 0) return;
  const start = writer.begin(field);
  for (const value of values) write(value);
  writer.end(start);
}

/** How the SDK's types of data points are encoded: the field of the metric, and the fields of a point. */
const kinds: readonly {
  field: number;
  sums: boolean;
  write: (writer: Writer, point: PointLike, valueType: number) => void;
}[] = [
  { field: 9, sums: true, write: writeHistogram },
  { field: 10, sums: true, write: writeExponentialHistogram },
  { field: 5, sums: false, write: writeNumber },
  { field: 7, sums: true, write: writeNumber },
];

/** Whether the points of a metric are encoded: whether its type is known. */
export function isEncoded({ dataPointType }: MetricLike): boolean {
  return dataPointType in kinds;
}

/** Writes the metric's fields. A metric of an unknown type has no points. */
export function writeMetric(writer: Writer, metric: MetricLike): void {
  const { name, description, unit, valueType } = metric.descriptor;
  writer.string(1, name);
  if (description) writer.string(2, description);
  if (unit) writer.string(3, unit);
  const kind = kinds[metric.dataPointType];
  if (kind === undefined) return;
  const data = writer.begin(kind.field);
  for (const point of metric.dataPoints) {
    const start = writer.begin(1);
    kind.write(writer, point, valueType);
    writer.end(start);
  }
  if (kind.sums) {
    writer.uint32(2, metric.aggregationTemporality + 1);
    if (metric.isMonotonic) writer.uint32(3, 1);
  }
  writer.end(data);
}

/** Returns an ExportMetricsServiceRequest. */
export function encodeMetrics({ resource, scopeMetrics }: ResourceMetricsLike): Buffer {
  const writer = new Writer();
  const ofResource = beginResource(writer, resource);
  for (const { scope, metrics } of scopeMetrics) {
    const ofScope = beginScope(writer, scope);
    for (const metric of metrics) {
      const each = writer.begin(2);
      writeMetric(writer, metric);
      writer.end(each);
    }
    endRecords(writer, scope, ofScope);
  }
  endRecords(writer, resource, ofResource);
  return writer.written();
}
