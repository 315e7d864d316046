// One order as the OpenTelemetry SDK for JavaScript tells of it: three traces of two
// services. `node otel-client.mjs http://127.0.0.1:4318 ORDER` exports every span twice, as
// after an answer that was lost, and prints the trace ids as JSON.
import { SpanKind, context, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const [, , address, order] = process.argv;
const exported = [];

/** Runs a service that does its work, and exports what it did. */
async function service(name, work) {
  const spans = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': name }),
    spanProcessors: [new SimpleSpanProcessor(spans)],
  });
  work(provider.getTracer('orders'));
  await provider.forceFlush();
  const finished = spans.getFinishedSpans();
  const exporter = new OTLPTraceExporter({ url: `${address}/v1/traces` });
  for (let time = 0; time < 2; time++) {
    await new Promise((done, fail) => exporter.export(finished, ({ code, error }) => (code === 0 ? done() : fail(error))));
  }
  exported.push(...finished);
  await exporter.shutdown();
  await provider.shutdown();
}

const attributes = { order_id: order };

await service('webshop', (tracer) => {
  const request = tracer.startSpan('POST /orders', { kind: SpanKind.SERVER, attributes });
  tracer.startSpan('SELECT stock', { kind: SpanKind.CLIENT }, trace.setSpan(context.active(), request)).end();
  request.end();
});
await service('payments', (tracer) => {
  tracer.startSpan('POST /capture', { kind: SpanKind.SERVER, attributes }).end();
});
await service('webshop', (tracer) => {
  tracer.startSpan('POST /confirm', { kind: SpanKind.SERVER, attributes }).end();
});
console.log(JSON.stringify([...new Set(exported.map((span) => span.spanContext().traceId))]));
