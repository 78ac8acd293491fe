-- Finds a row that no search has written: a type or a number that code after it does not expect.
-- (SQLite keeps a text in a column of numbers, and checks no CHECK of a file that it only reads.)
SELECT row FROM (
    SELECT 'meta: ' || quote(name) AS row FROM meta WHERE (
        typeof(name) = 'text' AND typeof(value) = 'text'
    ) IS NOT TRUE
    UNION ALL
    SELECT 'state: part ' || quote(name) FROM state WHERE (
        typeof(name) = 'text' AND kind IN ('json', 'numpy', 'torch')
        AND typeof(shape) = 'text' AND typeof(dtype) = 'text'
        AND typeof(value) = 'blob'
    ) IS NOT TRUE
    UNION ALL
    SELECT 'update ' || number FROM updates WHERE (
        number > 0 AND typeof(told) = 'integer' AND typeof(metrics) = 'text'
    ) IS NOT TRUE
    UNION ALL
    SELECT 'trial ' || number FROM trials WHERE (
        number >= 0 AND typeof(key) = 'text' AND typeof(seed) = 'integer'
        AND proposed_at BETWEEN 0 AND 1e11             -- seconds since 1970, to the year 5138
        AND typeof(updates_at_proposal) = 'integer' AND typeof(attempts) = 'integer'
        AND typeof(status) IN ('text', 'null')
        AND coalesce(reward, 0) BETWEEN -1.797e308 AND 1.797e308 -- finite
        AND coalesce(told_reward, 0) BETWEEN -1.797e308 AND 1.797e308
        AND typeof(updates_at_tell) IN ('integer', 'null')
        AND typeof(completion_order) IN ('integer', 'null') AND cached IN (0, 1)
        AND typeof(cause) IN ('text', 'null') AND coalesce(seconds, 0) BETWEEN 0 AND 1e308
        AND typeof(parameters) IN ('integer', 'null') AND typeof(worker) IN ('integer', 'null')
        AND coalesce(ended_at, 0) BETWEEN 0 AND 1e11 AND typeof(curves) IN ('text', 'null')
        AND typeof(tokens) = 'blob' AND typeof(log_probs) = 'blob'
        AND typeof(distributions) = 'blob'
        AND (status IS NOT 'ok' OR reward IS NOT NULL)
        AND (completion_order IS NULL OR (status IS NOT NULL AND ended_at IS NOT NULL))
    ) IS NOT TRUE
    UNION ALL
    SELECT 'retraining ' || quote(key) FROM retrainings WHERE (
        typeof(origin) = 'text' AND typeof(key) = 'text' AND typeof(seed) = 'integer'
        AND typeof(genotype) = 'text' AND coalesce(reward, 0) BETWEEN -1.797e308 AND 1.797e308
        AND typeof(status) = 'text' AND typeof(cause) IN ('text', 'null')
        AND coalesce(validation, 0) BETWEEN 0 AND 1
        AND coalesce(test, 0) BETWEEN 0 AND 1
        AND coalesce(seconds, 0) BETWEEN 0 AND 1e308
    ) IS NOT TRUE
) LIMIT 1;
