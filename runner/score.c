/* The hot call: packs the batch's segments into tiles of rows and takes each tile through the whole model.
 *
 * A tile may hold pieces of many segments, and a long segment may be cut over many tiles; by the layers'
 * contract neither changes any bit of a result. Nothing is allocated per token. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/engine.h"

/* ---- checking a batch before anything is touched */

static int check_token(const Engine *engine, int32_t token, const char *what, size_t i, size_t segment,
                       Error *error) {
    if (token >= 0 && token < engine->info.vocab_size)
        return 0;
    return error_set(error, "segment %zu: %s %zu is the token id %d, outside the vocabulary [0, %lld)",
                     segment, what, i, (int)token, (long long)engine->info.vocab_size);
}

static int check_segment(const Engine *engine, const Segment *segment, size_t index, Error *error) {
    if (segment->n_tokens == 0)
        return error_set(error, "segment %zu has no tokens, expected at least one", index);
    if (segment->n_tokens > CONFIG_MAX_POSITIONS ||
        (size_t)state_position(segment->parent) + segment->n_tokens > CONFIG_MAX_POSITIONS)
        return error_set(error, "segment %zu makes a sequence of more than %d tokens", index,
                         CONFIG_MAX_POSITIONS);
    if (segment->parent && segment->parent->pool != &engine->pool)
        return error_set(error, "segment %zu continues a sequence of another engine", index);
    for (size_t i = 0; i < segment->n_tokens; i++)
        if (check_token(engine, segment->tokens[i], "token", i, index, error))
            return -1;
    for (size_t i = 0; i < segment->n_targets; i++) {
        int32_t position = segment->targets[i].position, before = i ? segment->targets[i - 1].position : 0;
        if (position < before || (size_t)position >= segment->n_tokens)
            return error_set(error, "segment %zu: target %zu has position %d, expected one from %d to %zu",
                             index, i, (int)position, (int)before, segment->n_tokens - 1);
        if (check_token(engine, segment->targets[i].token, "target", i, index, error))
            return -1;
    }
    if (segment->logits && segment->logits_from > segment->n_tokens)
        return error_set(error, "segment %zu: logits are wanted from position %zu of %zu", index,
                         segment->logits_from, segment->n_tokens);
    return 0;
}

/* ---- one tile through the model */

typedef struct RowRun {
    Engine *engine;
    size_t n_rows;
    const Norm *norm;
} RowRun;

static size_t chunks_of(size_t rows) {
    return (rows + SPAN_ROWS - 1) / SPAN_ROWS;
}

static void embed_rows(void *context, size_t i, int thread) {
    (void)thread;
    const RowRun *run = context;
    Engine *engine = run->engine;
    size_t d = engine->model.embedding.cols;
    for (size_t row = i * SPAN_ROWS; row < run->n_rows && row < (i + 1) * SPAN_ROWS; row++)
        weight_read_row(&engine->model.embedding, (size_t)engine->tokens[row], engine->hidden + row * d);
}

/* normed = norm(hidden) */
static void norm_rows(void *context, size_t i, int thread) {
    (void)thread;
    const RowRun *run = context;
    Engine *engine = run->engine;
    size_t d = engine->model.embedding.cols;
    for (size_t row = i * SPAN_ROWS; row < run->n_rows && row < (i + 1) * SPAN_ROWS; row++)
        norm_row(run->norm, &engine->cpu, engine->normed + row * d, engine->hidden + row * d, d);
}

/* hidden += mixed */
static void add_rows(void *context, size_t i, int thread) {
    (void)thread;
    const RowRun *run = context;
    Engine *engine = run->engine;
    size_t d = engine->model.embedding.cols, row = i * SPAN_ROWS;
    size_t end = row + SPAN_ROWS < run->n_rows ? row + SPAN_ROWS : run->n_rows;
    engine->cpu.kernels->add(engine->hidden + row * d, engine->mixed + row * d, (end - row) * d);
    if (!engine->model.float32_residual)
        cpu_round(&engine->cpu, engine->hidden + row * d, (end - row) * d);
}

static void run_rows(RowRun run, ThreadBody *body) {
    cpu_parallel(&run.engine->cpu, chunks_of(run.n_rows), run.n_rows * run.engine->model.embedding.cols * 2,
                 body, &run);
}

/* From the last mixer on nothing but the rows that somebody wants matters any more. */
static void want_head_rows(Engine *engine, Tile *tile, size_t n_head_rows) {
    size_t row = 0;
    for (size_t i = 0; i < n_head_rows; i++)
        engine->outputs[i] = engine->head_rows[i].row;
    tile->n_outputs = n_head_rows;
    for (size_t i = 0; i < tile->n_spans; i++) {
        Span *span = &engine->spans[i];
        span->first_output = row;
        while (row < n_head_rows && engine->outputs[row] < span->row + span->n_rows)
            row++;
        span->n_outputs = row - span->first_output;
    }
}

/* What a mixer does besides its linear layers and its convolution. */
static EnginePhase mixer_phase(MixerKind kind) {
    return kind == MIXER_ATTENTION || kind == MIXER_MLA ? PHASE_ATTENTION : PHASE_SCAN;
}

/* Afterwards `normed` holds the head rows, ready for the output projection. The last layer computes only what
 * those rows need: of the others their tokens become part of their sequences. */
typedef struct LayerBegin {
    const Tile *tile;
    const Place *place;
} LayerBegin;

static void begin_piece(void *context, size_t i, int thread) {
    (void)thread;
    const LayerBegin *begin = context;
    state_begin_layer(begin->tile->pieces[i].state, begin->place);
}

static void run_layers(Engine *engine, Tile *tile, size_t n_head_rows) {
    RowRun run = {.engine = engine, .n_rows = tile->n_rows};
    run_rows(run, embed_rows);
    for (size_t i = 0; i < engine->model.n_layers; i++) {
        const Layer *layer = &engine->model.layers[i];
        run.norm = &layer->input_norm;
        run_rows(run, norm_rows);
        if (i + 1 == engine->model.n_layers)
            want_head_rows(engine, tile, n_head_rows);
        EnginePhase before = profile_enter(&engine->cpu.profile, mixer_phase(layer->type->kind));
        LayerBegin begin = {tile, &layer->place};
        cpu_parallel(&engine->cpu, tile->n_pieces,
                     tile->n_pieces * (layer->place.cache_floats + layer->place.recurrent_floats),
                     begin_piece, &begin);
        layer->type->forward(layer->mixer, layer->place, tile, engine->normed, engine->mixed);
        profile_enter(&engine->cpu.profile, before);
        if (i + 1 == engine->model.n_layers) {
            size_t d = engine->model.embedding.cols;
            rows_of_outputs(tile, engine->hidden, engine->hidden, d, d);
            tile->n_rows = run.n_rows = n_head_rows;
        }
        run_rows(run, add_rows);
        if (!layer->mlp_type)
            continue;
        run.norm = &layer->post_norm;
        run_rows(run, norm_rows);
        layer->mlp_type->forward(layer->mlp, tile, engine->normed, engine->mixed);
        run_rows(run, add_rows);
    }
    run.norm = &engine->model.final_norm;
    run_rows(run, norm_rows);
}

/* ---- filling tiles */

/* Segments are begun when their first token is packed and let go when their last one is done, so that a batch
 * holds no more states at once than a tile has pieces, besides those that the caller wants. */
typedef struct Batch {
    Engine *engine;
    Segment *segments;
    State **states; /* [n_segments]; NULL before the segment is begun and after it is let go */
    size_t n_segments, n_begun;
    size_t segment, offset; /* the next token to be packed */
    size_t target;          /* the next target of that segment */
} Batch;

/* Every parent's reference belongs to the batch until its segment is begun. For borrowed ones that is a
 * reference of our own, which is why a parent that another segment takes over is left whole as long as it is
 * needed. */
static int begin_segment(Batch *batch, size_t room, Error *error) {
    Segment *segment = &batch->segments[batch->segment];
    State *parent = segment->parent;
    bool passing = !segment->want_state && segment->n_tokens <= room;
    if (segment->move_parent)
        segment->parent = NULL;
    batch->n_begun++;
    int status = state_begin(&batch->states[batch->segment], &batch->engine->pool, parent,
                             segment->move_parent, passing, segment->n_tokens, error);
    if (!segment->move_parent)
        state_release(parent);
    return status;
}

/* The rows among [offset, offset + n) of a segment that somebody wants, the first of them being tile row
 * `row`. */
static size_t collect_head_rows(Batch *batch, size_t row, size_t n, HeadRow *out) {
    const Segment *segment = &batch->segments[batch->segment];
    size_t n_out = 0, vocab = (size_t)batch->engine->info.vocab_size;
    for (size_t i = 0; i < n; i++) {
        size_t position = batch->offset + i, first = batch->target;
        while (batch->target < segment->n_targets &&
               (size_t)segment->targets[batch->target].position == position)
            batch->target++;
        bool logits = segment->logits && position >= segment->logits_from;
        if (!logits && batch->target == first)
            continue;
        out[n_out++] =
            (HeadRow){row + i, logits ? segment->logits + (position - segment->logits_from) * vocab : NULL,
                      segment->targets + first, batch->target - first, segment->results + first};
    }
    return n_out;
}

/* Packs the next rows; 0 rows when none are left. */
static int next_tile(Batch *batch, Tile *tile, size_t *n_head_rows, Error *error) {
    Engine *engine = batch->engine;
    *tile = (Tile){.cpu = &engine->cpu,
                   .rope = &engine->rope,
                   .pieces = engine->pieces,
                   .spans = engine->spans,
                   .outputs = engine->outputs,
                   .workspace = engine->workspace};
    *n_head_rows = 0;
    while (batch->segment < batch->n_segments && tile->n_rows < engine->tile_rows) {
        const Segment *segment = &batch->segments[batch->segment];
        size_t n = segment->n_tokens - batch->offset, room = engine->tile_rows - tile->n_rows;
        if (batch->offset == 0 && begin_segment(batch, room, error))
            return -1;
        State *state = batch->states[batch->segment];
        n = n < room ? n : room;
        Piece *piece = &engine->pieces[tile->n_pieces++];
        *piece = (Piece){state, state->position, tile->n_rows, n};
        memcpy(engine->tokens + tile->n_rows, segment->tokens + batch->offset, n * sizeof *segment->tokens);
        for (size_t i = 0; i < n; i += SPAN_ROWS) {
            size_t row = tile->n_rows + i, some = n - i < SPAN_ROWS ? n - i : SPAN_ROWS;
            engine->spans[tile->n_spans++] =
                (Span){piece, piece->position + (int64_t)i, row, some, row, some};
        }
        *n_head_rows += collect_head_rows(batch, tile->n_rows, n, engine->head_rows + *n_head_rows);
        size_t keys = (size_t)piece->position + n;
        tile->max_keys = keys > tile->max_keys ? keys : tile->max_keys;
        for (size_t i = 0; i < n; i++, tile->n_outputs++)
            engine->outputs[tile->n_outputs] = tile->n_outputs;
        tile->n_rows += n;
        batch->offset += n;
        if (batch->offset == segment->n_tokens) {
            batch->segment++;
            batch->offset = batch->target = 0;
        }
    }
    return 0;
}

static int run_tile(Engine *engine, Tile *tile, size_t n_head_rows, Error *error) {
    if (rope_extend(&engine->rope, tile->max_keys, error))
        return -1;
    run_layers(engine, tile, n_head_rows);
    for (size_t i = 0; i < tile->n_pieces; i++)
        tile->pieces[i].state->position += (int64_t)tile->pieces[i].n_rows;
    head_run(engine, engine->head_rows, n_head_rows, engine->normed);
    return 0;
}

static int run_batch(Batch *batch, Error *error) {
    Tile tile;
    size_t n_head_rows, done = 0;
    for (;;) {
        if (next_tile(batch, &tile, &n_head_rows, error))
            return -1;
        if (tile.n_rows == 0)
            return 0;
        if (run_tile(batch->engine, &tile, n_head_rows, error))
            return -1;
        for (; done < batch->segment; done++)
            if (!batch->segments[done].want_state) {
                state_release(batch->states[done]);
                batch->states[done] = NULL;
            }
    }
}

int engine_score(Engine *engine, Segment *segments, size_t n_segments, Error *error) {
    Batch batch = {.engine = engine, .segments = segments, .n_segments = n_segments};
    EnginePhase before = profile_enter(&engine->cpu.profile, PHASE_REST);
    int status = 0;
    batch.states = mem_alloc_zero(n_segments, sizeof(State *));
    for (size_t i = 0; i < n_segments; i++) {
        segments[i].state = NULL;
        if (!segments[i].move_parent)
            state_retain(segments[i].parent);
    }
    for (size_t i = 0; i < n_segments && status == 0; i++)
        status = check_segment(engine, &segments[i], i, error);
    if (status == 0)
        status = run_batch(&batch, error);
    for (size_t i = 0; i < n_segments; i++) {
        if (status == 0)
            segments[i].state = batch.states[i];
        else
            state_release(batch.states[i]);
        if (i < batch.n_begun)
            continue;
        state_release(segments[i].parent);
        if (segments[i].move_parent)
            segments[i].parent = NULL;
    }
    free(batch.states);
    profile_enter(&engine->cpu.profile, before);
    return status;
}
