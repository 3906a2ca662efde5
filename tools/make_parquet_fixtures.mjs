#!/usr/bin/env node
// Writes src/store/testdata/*.parquet: one small table, written by four independent programs with
// the codecs, encodings and page versions that data sets come in. The table is a rule (see rows()),
// so that a test can compute what each cell must be.
//
//   mkdir /tmp/p && cd /tmp/p && npm install apache-arrow@21 parquet-wasm@0.8 nodejs-polars@0.26 \
//     @duckdb/node-api@1.5.6-r.1 hyparquet@1.31 hyparquet-writer@0.17
//   node REPO/tools/make_parquet_fixtures.mjs REPO/src/store/testdata
//
// (parquet-wasm is arrow-rs. Nothing of this is needed to build or to test.)

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "x.js"));
const arrow = require("apache-arrow");
const wasm = require("parquet-wasm/node");
const polars = require("nodejs-polars");
const duckdb = require("@duckdb/node-api");
const out = path.resolve(process.argv[2]);

const ROWS = 50;

// Row i. null where i % 7 == 3 for text; tags: i % 4 texts, null where i % 10 == 9, and its second
// item null where i % 5 == 2; nested: a list of i % 3 lists of 0, 1, ... numbers.
function rows() {
  return Array.from({ length: ROWS }, (_, i) => ({
    id: `doc${i}`,
    text: i % 7 === 3 ? null : `text ${i} \u6587\u672c`.repeat(1 + (i % 3)),
    label: i % 5,
    big: (BigInt(i) - 3n) * 10000000000n,
    score: i / 4,
    single: i / 8,
    flag: i % 3 === 0,
    tags:
      i % 10 === 9
        ? null
        : Array.from({ length: i % 4 }, (_, j) => (j === 1 && i % 5 === 2 ? null : `t${i}.${j}`)),
    nested: Array.from({ length: i % 3 }, (_, j) => Array.from({ length: j }, (_, k) => i + k)),
    translation: { en: `en ${i}`, zh: `\u4e2d ${i}` },
  }));
}

function arrowTable() {
  const list = (type) => new arrow.List(new arrow.Field("item", type, true));
  const types = {
    id: new arrow.Utf8(),
    text: new arrow.Utf8(),
    label: new arrow.Int32(),
    big: new arrow.Int64(),
    score: new arrow.Float64(),
    single: new arrow.Float32(),
    flag: new arrow.Bool(),
    tags: list(new arrow.Utf8()),
    nested: list(list(new arrow.Int64())),
    translation: new arrow.Struct([
      new arrow.Field("en", new arrow.Utf8(), true),
      new arrow.Field("zh", new arrow.Utf8(), true),
    ]),
  };
  const columns = {};
  for (const [name, type] of Object.entries(types)) {
    let values = rows().map((row) => row[name]);
    if (name === "nested") values = values.map((v) => v.map((w) => w.map(BigInt)));
    columns[name] = arrow.vectorFromArray(values, type);
  }
  return new arrow.Table(columns);
}

function writeArrowRs(name, change) {
  const table = wasm.Table.fromIPCStream(arrow.tableToIPC(arrowTable(), "stream"));
  const builder = change(new wasm.WriterPropertiesBuilder());
  fs.writeFileSync(path.join(out, name), wasm.writeParquet(table, builder.build()));
}

const { Compression, Encoding, WriterVersion } = wasm;
writeArrowRs("arrow_snappy.parquet", (b) =>
  b.setCompression(Compression.SNAPPY).setMaxRowGroupSize(20),
);
writeArrowRs("arrow_gzip_v2.parquet", (b) =>
  b
    .setCompression(Compression.GZIP)
    .setWriterVersion(WriterVersion.V2)
    .setDictionaryEnabled(false)
    .setWriteBatchSize(8)
    .setDataPageSizeLimit(100),
);
writeArrowRs("arrow_delta.parquet", (b) =>
  b
    .setCompression(Compression.ZSTD)
    .setDictionaryEnabled(false)
    .setColumnEncoding("id", Encoding.DELTA_BYTE_ARRAY)
    .setColumnEncoding("text", Encoding.DELTA_LENGTH_BYTE_ARRAY)
    .setColumnEncoding("label", Encoding.DELTA_BINARY_PACKED)
    .setColumnEncoding("big", Encoding.DELTA_BINARY_PACKED)
    .setColumnEncoding("score", Encoding.BYTE_STREAM_SPLIT)
    .setColumnEncoding("single", Encoding.BYTE_STREAM_SPLIT)
    .setColumnEncoding("flag", Encoding.RLE),
);
writeArrowRs("arrow_pages.parquet", (b) =>
  b.setCompression(Compression.UNCOMPRESSED).setDataPageSizeLimit(64).setWriteBatchSize(4),
);
writeArrowRs("lz4.parquet", (b) => b.setCompression(Compression.LZ4_RAW));

// Without the nested column: not every writer has lists of lists.
const plain = rows().map(({ nested, ...rest }) => ({ ...rest, big: Number(rest.big) }));
fs.writeFileSync(path.join(process.cwd(), "rows.json"), JSON.stringify(plain));

const frame = polars.default.readJSON(path.join(process.cwd(), "rows.json"));
frame.writeParquet(path.join(out, "polars_zstd.parquet"), { compression: "zstd" });

const db = await (await duckdb.DuckDBInstance.create(":memory:")).connect();
await db.run(`create table t as select id, text, label::int as label, big::bigint as big,
  score::double as score, single::float as single, flag, tags, translation
  from read_json('rows.json')`);
for (const [name, options] of [
  ["duckdb_snappy.parquet", "compression snappy"],
  ["duckdb_v2.parquet", "compression zstd, parquet_version v2, row_group_size 2048"],
]) {
  await db.run(`copy t to '${path.join(out, name)}' (format parquet, ${options})`);
}

const { parquetWriteBuffer } = await import(
  path.join(process.cwd(), "node_modules/hyparquet-writer/src/index.js")
);
const flat = ["id", "text", "label", "score", "flag"];
const types = { id: "STRING", text: "STRING", label: "INT32", score: "DOUBLE", flag: "BOOLEAN" };
const buffer = parquetWriteBuffer({
  columnData: flat.map((name) => ({
    name,
    data: plain.map((row) => row[name]),
    type: types[name],
  })),
});
fs.writeFileSync(path.join(out, "hyparquet_snappy.parquet"), Buffer.from(buffer));
