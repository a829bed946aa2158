/* A stroke font: each glyph is a few lines and elliptic arcs, drawn with round pens whose edges are
 * anti-aliased by the distance to the stroke. 200 units per em, capitals 140, small letters 100.
 *
 * Glyph language: M x y move, L x y line, E cx cy rx ry a0 a1 arc (degrees, counter-clockwise when
 * a1 > a0) that starts anew, e the same but joined to the last point. */
#include "image_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS_PER_EM = 200, BEARING = 19, SPACE = 56, ARC_STEPS = 20 };

typedef struct glyph {
    uint32_t code;
    int width;
    const char *strokes;
} glyph;

static const glyph GLYPHS[] = {
    {'!', 0, "M0 140L0 46M0 2L0 5"},
    {'"', 30, "M0 140L0 104M30 140L30 104"},
    {'#', 96, "M34 130L14 10M82 130L62 10M6 92L96 92M0 48L90 48"},
    {'$', 84, "E42 101 37 31 40 270E42 39 40 31 90-145M42 156L42-16"},
    {'%', 124, "E24 108 24 32 0 360E100 32 24 32 0 360M102 140L22 0"},
    {'&', 100, "M100 0L24 96e47 113 26 27 220-45L21 64e38 37 38 37 130 325L96 68"},
    {'\'', 0, "M0 140L0 104"},
    {'(', 30, "E58 55 58 115 132 228"},
    {')', 30, "E-28 55 58 115 48-48"},
    {'*', 60, "M30 140L30 84M6 126L54 98M54 126L6 98"},
    {'+', 84, "M42 100L42 16M0 58L84 58"},
    {',', 8, "M8 4L0-26"},
    {'-', 46, "M0 54L46 54"},
    {'.', 0, "M0 2L0 5"},
    {'/', 62, "M0-16L62 150"},
    {'0', 80, "E40 70 40 70 0 360"},
    {'1', 80, "M14 112L46 140L46 0"},
    {'2', 80, "E40 101 37 39 165-36L2 0L80 0"},
    {'3', 80, "E39 106 34 34 155-90E39 36 39 36 90-155M39 72L28 72"},
    {'4', 80, "M60 0L60 140L0 40L82 40"},
    {'5', 80, "M72 140L14 140L9 76e38 46 40 46 136-150"},
    {'6', 80, "E40 44 39 44 0 360E74 44 73 98 180 98"},
    {'7', 80, "M2 140L78 140L28 0"},
    {'8', 80, "E40 106 33 34 0 360E40 36 39 36 0 360"},
    {'9', 80, "E40 96 39 44 0 360E6 96 73 98 0-82"},
    {':', 0, "M0 2L0 5M0 90L0 93"},
    {';', 8, "M8 4L0-26M6 90L6 93"},
    {'<', 76, "M76 98L0 58L76 18"},
    {'=', 84, "M0 78L84 78M0 38L84 38"},
    {'>', 76, "M0 98L76 58L0 18"},
    {'?', 66, "E32 106 32 34 165-45e60 46 28 36 135 180L32 42M32 2L32 5"},
    {'@', 136, "E66 52 28 34 0 360M94 88L94 40e113 40 19 20 180 360e68 56 64 84 0 300"},
    {'A', 104, "M0 0L52 140L104 0M17 46L87 46"},
    {'B', 90, "M0 0L0 140L46 140e46 106 36 34 90-90L0 72M46 72e48 36 40 36 90-90L0 0"},
    {'C', 100, "E58 70 58 70 46 314"},
    {'D', 98, "M0 0L0 140L36 140e36 70 62 70 90-90L0 0"},
    {'E', 78, "M78 0L0 0L0 140L76 140M0 72L66 72"},
    {'F', 74, "M0 0L0 140L74 140M0 70L62 70"},
    {'G', 106, "E58 70 58 70 46 325L106 64L66 64"},
    {'H', 92, "M0 0L0 140M92 0L92 140M0 72L92 72"},
    {'I', 0, "M0 0L0 140"},
    {'J', 58, "M58 140L58 40e29 40 29 40 0-165"},
    {'K', 88, "M0 0L0 140M84 140L0 50M30 82L90 0"},
    {'L', 72, "M0 140L0 0L72 0"},
    {'M', 116, "M0 0L0 140L58 28L116 140L116 0"},
    {'N', 94, "M0 0L0 140L94 0L94 140"},
    {'O', 118, "E59 70 59 70 0 360"},
    {'P', 86, "M0 0L0 140L46 140e46 102 40 38 90-90L0 64"},
    {'Q', 118, "E59 70 59 70 0 360M74 34L116-10"},
    {'R', 88, "M0 0L0 140L46 140e46 102 40 38 90-90L0 64M44 64L88 0"},
    {'S', 84, "E42 105 37 35 38 270E42 35 41 35 90-148"},
    {'T', 92, "M0 140L92 140M46 140L46 0"},
    {'U', 92, "M0 140L0 46e46 46 46 46 180 360L92 140"},
    {'V', 100, "M0 140L50 0L100 140"},
    {'W', 148, "M0 140L37 0L74 132L111 0L148 140"},
    {'X', 92, "M0 0L92 140M0 140L92 0"},
    {'Y', 92, "M0 140L46 66L92 140M46 66L46 0"},
    {'Z', 88, "M4 140L86 140L0 0L88 0"},
    {'[', 26, "M26 150L0 150L0-36L26-36"},
    {'\\', 62, "M0 150L62-16"},
    {']', 26, "M0 150L26 150L26-36L0-36"},
    {'^', 60, "M0 92L30 140L60 92"},
    {'_', 84, "M0-20L84-20"},
    {'`', 20, "M0 146L20 120"},
    {'a', 72, "E38 66 34 34 158 0L72 0M72 60L36 58e33 29 33 29 90 285L72 24"},
    {'b', 82, "M0 140L0 0E42 50 41 50 0 360"},
    {'c', 76, "E46 50 45 50 44 316"},
    {'d', 82, "M82 140L82 0E40 50 41 50 0 360"},
    {'e', 84, "M3 54L83 54e43 50 42 50 5 318"},
    {'f', 46, "M18 0L18 106e50 106 32 34 180 88M-4 98L44 98"},
    {'g', 82, "E40 50 41 50 0 360M82 100L82-4e43-4 39 38 0-152"},
    {'h', 74, "M0 140L0 0M0 58e37 62 37 38 180 0L74 0"},
    {'i', 0, "M0 0L0 100M0 132L0 135"},
    {'j', 16, "M16 100L16-12e-10-12 26 28 0-80M16 132L16 135"},
    {'k', 70, "M0 0L0 140M66 100L0 42M26 65L70 0"},
    {'l', 20, "M0 140L0 24e21 24 21 24 180 266"},
    {'m', 120, "M0 0L0 100M0 62e30 64 30 36 180 0L60 0M60 62e90 64 30 36 180 0L120 0"},
    {'n', 74, "M0 0L0 100M0 60e37 62 37 38 180 0L74 0"},
    {'o', 86, "E43 50 43 50 0 360"},
    {'p', 82, "M0 100L0-42E42 50 41 50 0 360"},
    {'q', 82, "M82 100L82-42E40 50 41 50 0 360"},
    {'r', 46, "M0 0L0 100M0 56e38 60 38 40 180 76"},
    {'s', 68, "E34 75 30 25 36 270E34 25 33 25 90-148"},
    {'t', 46, "M18 132L18 28e44 28 26 28 180 275M-2 100L42 100"},
    {'u', 74, "M0 100L0 38e37 38 37 38 180 360M74 100L74 0"},
    {'v', 78, "M0 100L39 0L78 100"},
    {'w', 124, "M0 100L31 0L62 92L93 0L124 100"},
    {'x', 74, "M0 0L74 100M0 100L74 0"},
    {'y', 80, "M0 100L40 2M80 100L34-22L24-36L6-40"},
    {'z', 70, "M2 100L68 100L0 0L70 0"},
    {'{', 34, "M34 150e34 130 18 20 90 180L16 76L0 57L16 38L16-16e34-16 18 20 180 270"},
    {'|', 0, "M0 150L0-36"},
    {'}', 34, "M0 150e0 130 18 20 90 0L18 76L34 57L18 38L18-16e0-16 18 20 0-90"},
    {'~', 84, "E21 54 21 18 180 0E63 54 21 18 180 360"},
    {0xB0, 36, "E18 120 18 18 0 360"},
    {0xB1, 84, "M42 112L42 32M0 72L84 72M0 8L84 8"},
    {0xB5, 74, "M0 100L0-42M0 38e37 38 37 38 180 360M74 100L74 0"},
    {0xB7, 0, "M0 56L0 59"},
    {0xC5, 104, "M0 0L52 140L104 0M17 46L87 46E52 162 17 17 0 360"},
    {0xD7, 70, "M0 22L70 92M0 92L70 22"},
    {0x3B1, 80, "E38 50 38 50 40 320M84 100L62 24e84 24 22 24 180 270"},
    {0x3B2, 76, "M0-42L0 104e37 104 37 36 180-90M37 68e38 34 38 34 90-180"},
    {0x3B8, 80, "E40 70 40 70 0 360M0 72L80 72"},
    {0x3C3, 88, "E42 48 42 48 0 360M42 96L90 96"},
    {0x2013, 84, "M0 54L84 54"},
    {0x2014, 140, "M0 54L140 54"},
    {0x2026, 96, "M0 2L0 5M48 2L48 5M96 2L96 5"},
    {0x2032, 16, "M16 146L0 104"},
    {0x2033, 44, "M16 146L0 104M44 146L28 104"},
    {0x2212, 84, "M0 58L84 58"},
    {0x2264, 76, "M76 112L0 78L76 44M0 8L76 8"},
    {0x2265, 76, "M0 112L76 78L0 44M0 8L76 8"},
};
static const glyph UNKNOWN = {0, 70, "M0 0L0 130L70 130L70 0L0 0"};
static const double SUPERSCRIPT_SIZE = 0.64;
enum { SUPERSCRIPT_RISE = 62 };

typedef struct pen {
    um_canvas *canvas;
    double x, y, scale; /* origin of the glyph in px, px per unit */
    double radius;      /* of the stroke, px */
    bool upward;
    const uint8_t *rgb;
} pen;

typedef struct segment {
    double x0, y0, x1, y1;
} segment;

typedef struct outline {
    segment segment[8 * ARC_STEPS];
    int count;
} outline;

/* One code point; malformed bytes are taken one by one as unknown. */
static uint32_t next_code(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    uint32_t code = p[0];
    int more = code >= 0xF0 ? 3 : code >= 0xE0 ? 2 : code >= 0xC0 ? 1 : 0;
    if (more > 0) {
        code &= 0x3FU >> more;
    }
    int used = 1;
    while (used <= more && (p[used] & 0xC0) == 0x80) {
        code = code << 6 | (p[used] & 0x3F);
        used++;
    }
    *text += used;
    return used == more + 1 ? code : 0xFFFD;
}

/* Superscript digits and signs are their parents, smaller and raised. */
static uint32_t superscript_parent(uint32_t code)
{
    switch (code) {
    case 0xB9:
        return '1';
    case 0xB2:
        return '2';
    case 0xB3:
        return '3';
    case 0x207A:
        return '+';
    case 0x207B:
        return '-';
    default:
        return code == 0x2070 || (code >= 0x2074 && code <= 0x2079) ? '0' + (code - 0x2070) : 0;
    }
}

static const glyph *find_glyph(uint32_t code)
{
    code = code == 0x3BC ? 0xB5 : code == 0x212B ? 0xC5 : code;
    for (size_t i = 0; i < sizeof GLYPHS / sizeof GLYPHS[0]; i++) {
        if (GLYPHS[i].code == code) {
            return &GLYPHS[i];
        }
    }
    return &UNKNOWN;
}

static bool is_space(uint32_t code)
{
    return code == ' ' || code == 0xA0 || code == 0x202F;
}

static double glyph_advance(uint32_t code)
{
    if (is_space(code)) {
        return SPACE;
    }
    uint32_t parent = superscript_parent(code);
    if (parent != 0) {
        return SUPERSCRIPT_SIZE * (find_glyph(parent)->width + 1.6 * BEARING);
    }
    return find_glyph(code)->width + 2 * BEARING;
}

static void add_segment(outline *o, double x0, double y0, double x1, double y1)
{
    if (o->count < (int)(sizeof o->segment / sizeof o->segment[0])) {
        o->segment[o->count++] = (segment){x0, y0, x1, y1};
    }
}

static void add_arc(outline *o, const double v[6], bool joined, double *x, double *y)
{
    double degree = acos(-1.0) / 180;
    for (int i = 0; i <= ARC_STEPS; i++) {
        double angle = (v[4] + (v[5] - v[4]) * i / ARC_STEPS) * degree;
        double nx = v[0] + v[2] * cos(angle);
        double ny = v[1] + v[3] * sin(angle);
        if (i > 0 || joined) {
            add_segment(o, *x, *y, nx, ny);
        }
        *x = nx;
        *y = ny;
    }
}

static void parse_strokes(const char *s, outline *o)
{
    double x = 0;
    double y = 0;
    o->count = 0;
    while (*s != '\0') {
        char command = *s++;
        int wanted = command == 'M' || command == 'L' ? 2 : 6;
        double v[6];
        for (int i = 0; i < wanted; i++) {
            char *end = NULL;
            v[i] = (double)strtol(s, &end, 10);
            s = end;
        }
        if (command == 'L') {
            add_segment(o, x, y, v[0], v[1]);
        }
        if (wanted == 2) {
            x = v[0];
            y = v[1];
        } else {
            add_arc(o, v, command == 'e', &x, &y);
        }
    }
}

static double distance_to(const segment *s, double x, double y)
{
    double dx = s->x1 - s->x0;
    double dy = s->y1 - s->y0;
    double length2 = dx * dx + dy * dy;
    double t = length2 > 0 ? ((x - s->x0) * dx + (y - s->y0) * dy) / length2 : 0;
    t = fmin(fmax(t, 0), 1);
    return hypot(x - s->x0 - t * dx, y - s->y0 - t * dy);
}

static void blend(um_canvas *canvas, int64_t x, int64_t y, double coverage, const uint8_t *rgb)
{
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height) {
        return;
    }
    uint8_t *p = canvas->pixels + 3 * (y * canvas->width + x);
    for (int c = 0; c < 3; c++) {
        p[c] = (uint8_t)lround(p[c] + coverage * (rgb[c] - p[c]));
    }
}

/* Glyph units to canvas pixels. */
static void place(const pen *p, double *x, double *y)
{
    double gx = *x * p->scale;
    double gy = *y * p->scale;
    *x = p->upward ? p->x - gy : p->x + gx;
    *y = p->upward ? p->y - gx : p->y - gy;
}

static void draw_glyph(const pen *p, const glyph *g)
{
    outline o;
    parse_strokes(g->strokes, &o);
    double left = INFINITY;
    double right = -INFINITY;
    double top = INFINITY;
    double bottom = -INFINITY;
    for (int i = 0; i < o.count; i++) {
        segment *s = &o.segment[i];
        place(p, &s->x0, &s->y0);
        place(p, &s->x1, &s->y1);
        left = fmin(left, fmin(s->x0, s->x1));
        right = fmax(right, fmax(s->x0, s->x1));
        top = fmin(top, fmin(s->y0, s->y1));
        bottom = fmax(bottom, fmax(s->y0, s->y1));
    }
    double margin = p->radius + 1;
    for (int64_t y = (int64_t)floor(top - margin); y <= (int64_t)ceil(bottom + margin); y++) {
        for (int64_t x = (int64_t)floor(left - margin); x <= (int64_t)ceil(right + margin); x++) {
            double d = INFINITY;
            for (int i = 0; i < o.count; i++) {
                d = fmin(d, distance_to(&o.segment[i], (double)x + 0.5, (double)y + 0.5));
            }
            double coverage = p->radius + 0.5 - d;
            if (coverage > 0) {
                blend(p->canvas, x, y, fmin(coverage, 1), p->rgb);
            }
        }
    }
}

double um_text_width(const char *utf8, double size_px)
{
    double width = 0;
    while (*utf8 != '\0') {
        width += glyph_advance(next_code(&utf8));
    }
    return width * size_px / UNITS_PER_EM;
}

void um_text_draw(um_canvas *canvas, double x, double y, double size_px, bool upward,
                  const char *utf8, const uint8_t rgb[3])
{
    double unit = size_px / UNITS_PER_EM;
    pen p = {canvas, x, y, unit, fmax(0.047 * size_px, 0.5), upward, rgb};
    while (*utf8 != '\0') {
        uint32_t code = next_code(&utf8);
        uint32_t parent = superscript_parent(code);
        double size = parent != 0 ? SUPERSCRIPT_SIZE : 1;
        double shift = size * BEARING * unit;
        double rise = parent != 0 ? SUPERSCRIPT_RISE * unit : 0;
        pen g = p;
        g.scale = size * unit;
        g.radius = parent != 0 ? 0.9 * p.radius : p.radius;
        g.x = upward ? p.x - rise : p.x + shift;
        g.y = upward ? p.y - shift : p.y - rise;
        if (!is_space(code)) {
            draw_glyph(&g, find_glyph(parent != 0 ? parent : code));
        }
        double advance = glyph_advance(code) * unit;
        p.x += upward ? 0 : advance;
        p.y -= upward ? advance : 0;
    }
}
