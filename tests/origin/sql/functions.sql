-- Three registered functions of the kinds that the origin comes with; the origin lists them and never runs them.
WITH registered AS (
    INSERT INTO meta.functions (
        language, title, language_title, description, schema_definition, examples, created_at, updated_at, created_by, tags
    ) VALUES (
        'nodejs', 'calculator', 'nodejs-calculator', 'Adds and divides',
        '{"type": "object", "properties": {"operation": {"type": "string", "enum": ["add", "divide"]},
          "a": {"type": "number"}, "b": {"type": "number"}}}',
        '[{"operation": "add", "a": 5, "b": 3, "result": 8}, {"operation": "divide", "a": 8, "b": 2, "result": 4}]',
        '2025-07-15T01:02:03.000001Z', '2025-07-16T01:02:03Z', 'system', '{math,nodejs}'
    ), (
        'python', 'text_processor', 'python-text_processor', 'Counts and capitalizes',
        '{"type": "object", "properties": {"action": {"type": "string", "enum": ["count_words", "uppercase"]},
          "text": {"type": "string"}}}',
        '[{"action": "count_words", "text": "one two", "result": 2}]',
        '2025-07-15T01:02:03.000002Z', '2025-07-15T01:02:03.000002Z', 'system', '{text,python}'
    ), (
        'rust', 'data_validator', 'rust-data_validator', 'Validates',
        '{"type": "object", "properties": {"data": {"type": "object"}}}',
        '[{"data": {"age": 25}, "result": {"valid": true}}]',
        '2025-07-15T01:02:03.000003Z', '2025-07-15T01:02:03.000003Z', 'system', '{validation,rust}'
    )
    RETURNING id, title
)

INSERT INTO meta.scripts (function_id, content)
SELECT
    registered.id,
    scripts.content
FROM registered
INNER JOIN (
    VALUES
    (
        'calculator',
        'module.exports = async (context, callback) => {
    const { operation, a, b } = context.params;
    if (operation === "divide" && b === 0) return callback(new Error("no division by zero"));
    callback(null, { result: operation === "add" ? a + b : a / b });
};'
    ),
    (
        'text_processor',
        'def handler(context):
    given = context.get("params", {})
    actions = {"count_words": lambda text: len(text.split()), "uppercase": str.upper}
    if given.get("action") not in actions:
        return {"error": f"Unknown action: {given.get(''action'')}"}
    return {"result": actions[given["action"]](given.get("text", ""))}'
    ),
    ('data_validator', 'pub fn handler(data: &str) -> bool { !data.is_empty() }')
) AS scripts (title, content) ON registered.title = scripts.title;
