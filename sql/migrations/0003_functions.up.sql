-- No default and no check: the rows that are there are not looked at.
ALTER TABLE meta.sessions ADD COLUMN function_version bigint;

COMMENT ON COLUMN meta.sessions.function_version IS
'Version of the function of the same language-title that was pinned; null when the script is the session''s own.';

CREATE TABLE meta.functions (
    language text NOT NULL CHECK (language IN ('nodejs', 'python')),
    title text NOT NULL CHECK (title <> ''),
    version bigint NOT NULL CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deactivated_at timestamptz,
    PRIMARY KEY (language, title)
);

COMMENT ON TABLE meta.functions IS 'Registered scripts: which version of each is the current one.';
COMMENT ON COLUMN meta.functions.language IS 'First part of the canonical language-title.';
COMMENT ON COLUMN meta.functions.title IS 'Second part of the canonical language-title.';
COMMENT ON COLUMN meta.functions.version IS 'The current version; moves with every replacement, and goes on after a deactivation.';
COMMENT ON COLUMN meta.functions.created_at IS 'When the first version was registered.';
COMMENT ON COLUMN meta.functions.updated_at IS 'When the current version was registered.';
COMMENT ON COLUMN meta.functions.deactivated_at IS 'When the function was deactivated; null while it is registered.';

CREATE TABLE meta.function_versions (
    language text NOT NULL,
    title text NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL CHECK (type IN ('predefined', 'dynamic')),
    description text NOT NULL,
    tags text[] NOT NULL,
    script text NOT NULL,
    script_hash text NOT NULL CHECK (script_hash ~ '^[0-9a-f]{64}$'),
    params_schema text,
    result_schema text,
    examples text NOT NULL,
    PRIMARY KEY (language, title, version)
);

ALTER TABLE meta.function_versions ALTER COLUMN script SET STORAGE EXTERNAL;
ALTER TABLE meta.function_versions ALTER COLUMN script SET STATISTICS 0;
ALTER TABLE meta.function_versions ALTER COLUMN params_schema SET STATISTICS 0;
ALTER TABLE meta.function_versions ALTER COLUMN result_schema SET STATISTICS 0;
ALTER TABLE meta.function_versions ALTER COLUMN examples SET STATISTICS 0;

COMMENT ON TABLE meta.function_versions IS
'What each version of a function is. Written once and never changed: sessions are pinned to versions.';
COMMENT ON COLUMN meta.function_versions.language IS 'First part of the canonical language-title.';
COMMENT ON COLUMN meta.function_versions.title IS 'Second part of the canonical language-title.';
COMMENT ON COLUMN meta.function_versions.version IS 'Counts from 1.';
COMMENT ON COLUMN meta.function_versions.type IS 'Whether it was installed with the schema or registered by a caller.';
COMMENT ON COLUMN meta.function_versions.description IS 'What the function does, for people.';
COMMENT ON COLUMN meta.function_versions.tags IS 'Words to find it by.';
COMMENT ON COLUMN meta.function_versions.script IS 'Source text.';
COMMENT ON COLUMN meta.function_versions.script_hash IS 'SHA-256 of the script in UTF-8, hexadecimal.';
COMMENT ON COLUMN meta.function_versions.params_schema IS 'JSON Schema that params must fit, as it came; null when all do.';
COMMENT ON COLUMN meta.function_versions.result_schema IS 'JSON Schema of results, as it came; null when none is told.';
COMMENT ON COLUMN meta.function_versions.examples IS
'JSON array of pairs: the params and the result that they must give, each as JSON text in a string.';

-- Functions that come with the schema. What callers make of them later is theirs.
INSERT INTO meta.functions (language, title, version, created_at, updated_at)
VALUES
('nodejs', 'calculator', 1, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
('python', 'text_processor', 1, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')
ON CONFLICT (language, title) DO NOTHING;

INSERT INTO meta.function_versions (
    language, title, version, type, description, tags, script, script_hash, params_schema, result_schema, examples
)
SELECT
    f.language, f.title, 1, 'predefined', f.description, f.tags, f.script,
    encode(sha256(convert_to(f.script, 'UTF8')), 'hex'), f.params_schema, f.result_schema, f.examples
FROM (
    VALUES
    (
        'nodejs',
        'calculator',
        'Adds, subtracts, multiplies or divides two numbers, as IEEE 754 doubles. '
        'Dividing by zero, or a result beyond the range of a double, is an error.',
        ARRAY['arithmetic', 'example'],
        $script$const { operation, a, b } = event.params;

const operations = {
  add: () => a + b,
  subtract: () => a - b,
  multiply: () => a * b,
  divide: () => {
    if (b === 0) {
      throw new RangeError('Division by zero: b must be another number than 0');
    }
    return a / b;
  },
};

const result = operations[operation]();
if (!Number.isFinite(result)) {
  throw new RangeError('The result is beyond the range of a double');
}
return { result };
$script$,
        $schema${
  "type": "object",
  "properties": {
    "operation": {"enum": ["add", "subtract", "multiply", "divide"]},
    "a": {"type": "number"},
    "b": {"type": "number"}
  },
  "required": ["operation", "a", "b"],
  "additionalProperties": false
}$schema$,
        $schema${
  "type": "object",
  "properties": {"result": {"type": "number"}},
  "required": ["result"],
  "additionalProperties": false
}$schema$,
        $examples$[
  ["{\"operation\": \"add\", \"a\": 2, \"b\": 3}", "{\"result\": 5}"],
  ["{\"operation\": \"subtract\", \"a\": 2, \"b\": 5}", "{\"result\": -3}"],
  ["{\"operation\": \"multiply\", \"a\": 1.5, \"b\": 4}", "{\"result\": 6}"],
  ["{\"operation\": \"divide\", \"a\": 7, \"b\": 2}", "{\"result\": 3.5}"]
]$examples$
    ),
    (
        'python',
        'text_processor',
        'Counts the words (what white space separates) or the characters (Unicode code points) of a text, '
        'or turns it into upper or lower case.',
        ARRAY['example', 'text'],
        $script$ACTIONS = {
    "count_words": lambda text: len(text.split()),
    "count_chars": len,
    "uppercase": str.upper,
    "lowercase": str.lower,
}

result = {"result": ACTIONS[params["action"]](params["text"])}
$script$,
        $schema${
  "type": "object",
  "properties": {
    "action": {"enum": ["count_words", "count_chars", "uppercase", "lowercase"]},
    "text": {"type": "string"}
  },
  "required": ["action", "text"],
  "additionalProperties": false
}$schema$,
        $schema${
  "type": "object",
  "properties": {"result": {"type": ["integer", "string"]}},
  "required": ["result"],
  "additionalProperties": false
}$schema$,
        $examples$[
  ["{\"action\": \"count_words\", \"text\": \"  to be\\tor not \"}", "{\"result\": 4}"],
  ["{\"action\": \"count_words\", \"text\": \"\"}", "{\"result\": 0}"],
  ["{\"action\": \"count_chars\", \"text\": \"Zürich\"}", "{\"result\": 6}"],
  ["{\"action\": \"uppercase\", \"text\": \"straße\"}", "{\"result\": \"STRASSE\"}"],
  ["{\"action\": \"lowercase\", \"text\": \"ÅNGSTRÖM\"}", "{\"result\": \"ångström\"}"]
]$examples$
    )
) AS f (language, title, description, tags, script, params_schema, result_schema, examples)
ON CONFLICT (language, title, version) DO NOTHING;
